//! The directory of images: one directory for each, replaced and removed as a whole.
//!
//! ```text
//! <directory>/<name>/{kernel,initrd,root.img,image.json}   published, read-only
//! <directory>/.scratch/                                    one build at a time, held by the lock
//! <directory>/.lock
//! ```

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use serde::Deserialize;

use super::{
    description::{ImageDescription, VERSION},
    error::{ImageError, at},
    name::ImageName,
    scratch::Scratch,
};

const DESCRIPTION_FILE: &str = "image.json";

/// A directory of images.
#[derive(Debug, Clone)]
pub struct ImageStore {
    directory: PathBuf,
}

impl ImageStore {
    /// The images in `directory`, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where the files of an image are.
    pub fn path(&self, name: &ImageName) -> PathBuf {
        self.directory.join(name.as_str())
    }

    /// Reads one image's description.
    ///
    /// # Errors
    /// [`ImageError::NotFound`] when there is no such image, and others when its description cannot be read.
    pub fn read(&self, name: &ImageName) -> Result<ImageDescription, ImageError> {
        let path = self.path(name).join(DESCRIPTION_FILE);
        match fs::read(&path) {
            Ok(text) => decode(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ImageError::NotFound { name: name.clone(), directory: self.directory.clone() })
            }
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    /// Reads every image's description, by name.
    pub fn list(&self) -> Result<Vec<ImageDescription>, ImageError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(at("list", &self.directory)(error)),
        };
        let mut images = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at("list", &self.directory))?;
            let name = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(name) = name
                && entry.path().join(DESCRIPTION_FILE).is_file()
            {
                images.push(self.read(&name)?);
            }
        }
        images.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(images)
    }

    /// Removes an image: first its name, then its files.
    pub fn delete(&self, name: &ImageName) -> Result<(), ImageError> {
        if !self.path(name).is_dir() {
            return Err(ImageError::NotFound {
                name: name.clone(),
                directory: self.directory.clone(),
            });
        }
        let scratch = self.scratch()?;
        let path = self.path(name);
        let moved = fs::rename(&path, scratch.path().join("deleted"));
        let removed = scratch.remove();
        moved.map_err(at("remove", &path)).and(removed)
    }

    /// Waits until no other build uses the store, and makes an empty directory to build in.
    pub(crate) fn scratch(&self) -> Result<Scratch, ImageError> {
        Scratch::new(&self.directory)
    }

    /// Makes `built`, a directory within the scratch, the image of this description; an older image of the name is replaced at once.
    pub(crate) fn publish(
        &self,
        built: &Path,
        description: &ImageDescription,
    ) -> Result<(), ImageError> {
        let path = built.join(DESCRIPTION_FILE);
        let text = serde_json::to_string_pretty(description)
            .map_err(|source| ImageError::Description { path: path.clone(), source })?;
        let mut file = File::create_new(&path).map_err(at("make", &path))?;
        file.write_all(text.as_bytes()).map_err(at("write", &path))?;
        seal(built)?;

        let target = self.path(&description.name);
        match renameat_with(CWD, built, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => renameat_with(CWD, built, CWD, &target, RenameFlags::EXCHANGE)
                .map_err(at("replace", &target))?,
            Err(error) => return Err(at("publish", &target)(error)),
        }
        sync(&self.directory)
    }
}

fn decode(text: &[u8], path: &Path) -> Result<ImageDescription, ImageError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let malformed = |source| ImageError::Description { path: path.to_owned(), source };
    let Versioned { version } = serde_json::from_slice(text).map_err(malformed)?;
    if version != VERSION {
        return Err(ImageError::DescriptionVersion {
            path: path.to_owned(),
            version,
            known: VERSION,
        });
    }
    serde_json::from_slice(text).map_err(malformed)
}

/// Makes every file of a flat directory read-only and durable, then the directory.
fn seal(directory: &Path) -> Result<(), ImageError> {
    for entry in fs::read_dir(directory).map_err(at("list", directory))? {
        let path = entry.map_err(at("list", directory))?.path();
        let permissions = fs::Permissions::from_mode(0o444);
        fs::set_permissions(&path, permissions).map_err(at("seal", &path))?;
        sync(&path)?;
    }
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory, permissions).map_err(at("seal", directory))?;
    sync(directory)
}

fn sync(path: &Path) -> Result<(), ImageError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const GOLDEN: &str = include_str!("golden/image-v1.json");

    fn publish(store: &ImageStore, kernel: &str) -> Result<ImageName, Box<dyn std::error::Error>> {
        let description: ImageDescription = serde_json::from_str(GOLDEN)?;
        let scratch = store.scratch()?;
        let built = scratch.path().join("built");
        fs::create_dir(&built)?;
        fs::write(built.join("kernel"), kernel)?;
        store.publish(&built, &description)?;
        scratch.remove()?;
        Ok(description.name)
    }

    #[test]
    fn a_published_image_is_listed_read_only_and_leaves_no_scratch() -> Outcome {
        let directory = tempfile::tempdir()?;
        let store = ImageStore::new(directory.path());
        assert_eq!(store.list()?, []);
        let name = publish(&store, "first")?;
        assert_eq!(store.list()?, [serde_json::from_str(GOLDEN)?]);
        let kernel = store.path(&name).join("kernel");
        assert_eq!(fs::metadata(kernel)?.permissions().mode() & 0o777, 0o444);
        assert!(!directory.path().join(".scratch").exists());
        Ok(())
    }

    #[test]
    fn a_rebuilt_image_replaces_the_old_one_whole() -> Outcome {
        let directory = tempfile::tempdir()?;
        let store = ImageStore::new(directory.path());
        publish(&store, "first")?;
        let name = publish(&store, "second")?;
        assert_eq!(fs::read_to_string(store.path(&name).join("kernel"))?, "second");
        assert_eq!(store.list()?.len(), 1);
        Ok(())
    }

    #[test]
    fn a_deleted_image_is_gone_and_then_not_found() -> Outcome {
        let directory = tempfile::tempdir()?;
        let store = ImageStore::new(directory.path());
        let name = publish(&store, "first")?;
        store.delete(&name)?;
        assert_eq!(store.list()?, []);
        assert!(matches!(store.delete(&name), Err(ImageError::NotFound { .. })));
        Ok(())
    }

    #[test]
    fn a_description_of_a_later_version_is_refused_with_both_versions() {
        let later = GOLDEN.replacen("\"version\": 1", "\"version\": 2, \"more\": true", 1);
        let refused = decode(later.as_bytes(), Path::new("image.json"));
        assert!(matches!(
            refused,
            Err(ImageError::DescriptionVersion { version: 2, known: VERSION, .. })
        ));
    }
}
