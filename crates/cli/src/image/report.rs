//! Runs `computer image` and says what came of it: a table for people, JSON for programs.

use std::fmt;

use comfy_table::Table;

use super::{
    arguments::{ImageArguments, ImageCommand},
    build::build,
    description::ImageDescription,
    error::ImageError,
    name::ImageName,
    store::ImageStore,
};
use crate::{byte_size::ByteSize, output};

/// What a command answers: `Display` is for people, `Serialize` for programs.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageAnswer {
    /// The image that was built, or was there already.
    Image(Box<ImageDescription>),
    /// The images there are.
    Images(Vec<ImageDescription>),
    /// The name of the image that was deleted.
    Deleted(ImageName),
}

/// Does what the arguments ask, on the blocking pool.
pub async fn run(arguments: ImageArguments) -> Result<ImageAnswer, ImageError> {
    let work = tokio::task::spawn_blocking(move || {
        let store = ImageStore::new(arguments.image_dir);
        match arguments.command {
            ImageCommand::Build(request) => {
                build(&store, request.into()).map(Box::new).map(ImageAnswer::Image)
            }
            ImageCommand::List => store.list().map(ImageAnswer::Images),
            ImageCommand::Delete { name } => {
                store.delete(&name).map(|()| ImageAnswer::Deleted(name))
            }
        }
    });
    match work.await {
        Ok(answer) => answer,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

impl fmt::Display for ImageAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => table(std::slice::from_ref(image.as_ref())).fmt(formatter),
            Self::Images(images) if images.is_empty() => {
                formatter.write_str("no images: build one with `computer image build NAME`")
            }
            Self::Images(images) => table(images).fmt(formatter),
            Self::Deleted(name) => write!(formatter, "deleted image {name}"),
        }
    }
}

fn table(images: &[ImageDescription]) -> Table {
    let mut table = output::table(["NAME", "PROFILE", "SUITE", "KERNEL", "ROOT", "CREATED"]);
    for image in images {
        table.add_row([
            image.name.to_string(),
            image.profile.to_string(),
            image.debian_suite.clone(),
            image.kernel_version.clone(),
            ByteSize::from_bytes(image.root.size_bytes).to_string(),
            output::shown_time(image.created_at),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_shown_as_a_table_and_as_json() {
        let golden = include_str!("golden/image-v1.json");
        let image: ImageDescription = serde_json::from_str(golden).expect("the golden file");
        let answer = ImageAnswer::Images(vec![image]);
        let table = answer.to_string();
        for word in ["NAME", "minimal", "bookworm", "256 MiB", "2026-11-24 23:59 UTC"] {
            assert!(table.contains(word), "{word} in {table}");
        }
        let json = serde_json::to_value(&answer).expect("it serializes");
        assert_eq!(json["images"][0]["kernel"]["format"], "vmlinux");
    }
}
