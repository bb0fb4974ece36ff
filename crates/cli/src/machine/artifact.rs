//! What a machine boots: a named image of this host, or a kernel and a root image by URL.

use std::path::{Path, PathBuf};

use clap::Args;
use contract::digest::Sha256Hex;
use contract::location::ArtifactUrl;
use contract::machine::ArtifactRef;
use url::Url;

use crate::error::CliError;
use crate::image::{ImageName, ImageStore};

/// What the machine boots.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What it boots")]
pub(crate) struct ArtifactArguments {
    /// An image that `computer image build` made.
    #[arg(long, value_name = "NAME", env = "COMPUTER_IMAGE", conflicts_with = "kernel")]
    pub(crate) image: Option<ImageName>,
    /// The directory of images.
    #[arg(
        long,
        value_name = "DIR",
        env = "COMPUTER_IMAGE_DIR",
        default_value = "/var/lib/computer/images"
    )]
    pub(crate) image_dir: PathBuf,
    /// A kernel instead of an image: a URL (http, https, or file beneath the daemon's image_dirs).
    #[arg(long, value_name = "URL", requires = "rootfs")]
    pub(crate) kernel: Option<ArtifactUrl>,
    /// The root image that goes with the kernel.
    #[arg(long, value_name = "URL", requires = "kernel")]
    pub(crate) rootfs: Option<ArtifactUrl>,
    /// The initrd that goes with the kernel.
    #[arg(long, value_name = "URL", requires = "kernel")]
    pub(crate) initrd: Option<ArtifactUrl>,
    /// The kernel's SHA-256.
    #[arg(long, value_name = "HEX", requires = "kernel")]
    pub kernel_sha256: Option<Sha256Hex>,
    /// The root image's SHA-256.
    #[arg(long, value_name = "HEX", requires = "rootfs")]
    pub rootfs_sha256: Option<Sha256Hex>,
    /// The initrd's SHA-256.
    #[arg(long, value_name = "HEX", requires = "initrd")]
    pub initrd_sha256: Option<Sha256Hex>,
}

impl ArtifactArguments {
    /// What is said to boot; `None` when nothing is said.
    ///
    /// # Errors
    /// When the image is not there or its description cannot be used.
    pub(crate) fn given(&self) -> Result<Option<ArtifactRef>, CliError> {
        if let (Some(kernel), Some(rootfs)) = (&self.kernel, &self.rootfs) {
            return Ok(Some(ArtifactRef {
                kernel_image_url: kernel.clone(),
                rootfs_url: rootfs.clone(),
                initrd_url: self.initrd.clone(),
                kernel_sha256_hex: self.kernel_sha256.clone(),
                rootfs_sha256_hex: self.rootfs_sha256.clone(),
                initrd_sha256_hex: self.initrd_sha256.clone(),
            }));
        }
        self.image.as_ref().map(|image| self.of_image(image)).transpose()
    }

    /// What a named image boots: URLs of its files, with their digests.
    pub(crate) fn of_image(&self, name: &ImageName) -> Result<ArtifactRef, CliError> {
        artifact_of_image(&self.image_dir, name)
    }
}

/// What an image in a directory of images boots: URLs of its files, with their digests.
pub(crate) fn artifact_of_image(
    image_dir: &Path,
    name: &ImageName,
) -> Result<ArtifactRef, CliError> {
    let directory = std::path::absolute(image_dir)
        .map_err(|source| CliError::ReadFile { path: image_dir.to_owned(), source })?;
    let store = ImageStore::new(directory);
    let image = store.read(name)?;
    let unfit = |reason| CliError::ImageUnfit { image: name.to_string(), reason };
    let url =
        |file: &str| file_url(&store.path(name), file).ok_or(unfit("a file name is no file name"));
    let digest =
        |text: &str| text.parse::<Sha256Hex>().map_err(|_wrong| unfit("a digest is no SHA-256"));
    Ok(ArtifactRef {
        kernel_image_url: url(&image.kernel.file)?,
        rootfs_url: url(&image.root.file)?,
        initrd_url: Some(url(&image.initrd.file)?),
        kernel_sha256_hex: Some(digest(&image.kernel.sha256)?),
        rootfs_sha256_hex: Some(digest(&image.root.sha256)?),
        initrd_sha256_hex: Some(digest(&image.initrd.sha256)?),
    })
}

/// The URL of a file in a directory; `None` when the name would lead out of it.
fn file_url(directory: &Path, name: &str) -> Option<ArtifactUrl> {
    let is_plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    let url = is_plain.then(|| Url::from_file_path(directory.join(name)).ok()).flatten()?;
    url.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_urls_of_its_files_with_their_digests() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("minimal");
        std::fs::create_dir(&image).unwrap();
        std::fs::write(image.join("image.json"), include_str!("../image/golden/image-v1.json"))
            .unwrap();
        let arguments = ArtifactArguments {
            image: Some("minimal".parse().unwrap()),
            image_dir: directory.path().to_owned(),
            kernel: None,
            rootfs: None,
            initrd: None,
            kernel_sha256: None,
            rootfs_sha256: None,
            initrd_sha256: None,
        };

        let artifact = arguments.given().unwrap().unwrap();

        let path = |file: &str| format!("file://{}", image.join(file).display());
        assert_eq!(artifact.kernel_image_url.as_str(), path("kernel"));
        assert_eq!(artifact.rootfs_url.as_str(), path("root.img"));
        assert_eq!(artifact.initrd_url.unwrap().as_str(), path("initrd"));
        assert_eq!(artifact.rootfs_sha256_hex.unwrap().as_str(), "c".repeat(64));
    }

    #[test]
    fn promise_p1_a_file_of_an_image_stays_in_its_directory() {
        let directory = Path::new("/images/a");
        for name in ["", ".", "..", "../b/kernel", "/etc/passwd", "a/b", "a\0"] {
            assert_eq!(file_url(directory, name), None, "{name:?}");
        }
        assert_eq!(file_url(directory, "root.img").unwrap().as_str(), "file:///images/a/root.img");
    }
}
