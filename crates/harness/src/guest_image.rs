//! Guest images, built once by the CLI and kept beside cargo's own output.

use std::fs::File;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use contract::machine::ArtifactRef;
use rustix::fs::FlockOperation;

use crate::error::HarnessError;
use crate::polled;
use crate::program::{program, target_dir};

/// An image that machines can be made of.
#[derive(Debug, Clone)]
pub struct GuestImage {
    /// Its name.
    pub name: String,
    /// The directory of images that holds it.
    pub images: Utf8PathBuf,
}

impl GuestImage {
    /// The small one: it boots fastest.
    pub fn minimal() -> Result<Self, HarnessError> {
        Self::ensure("minimal")
    }

    /// The one to work in, with an SSH server.
    pub fn full() -> Result<Self, HarnessError> {
        Self::ensure("default")
    }

    /// The guest that polls, for Firecracker where KVM has no hardware beneath it: no Linux, no agent.
    pub fn polled() -> Result<Self, HarnessError> {
        // Apart from the others: it is no image that `computer` knows.
        let images = target_dir()?.join("polled-images");
        let _lock = lock(&images, "polled")?;
        let image = Self { name: "harness-polled".to_owned(), images };
        polled::build(&image.dir())?;
        Ok(image)
    }

    fn ensure(profile: &str) -> Result<Self, HarnessError> {
        let images = target_dir()?.join("guest-images");
        let _lock = lock(&images, profile)?;
        let image = Self { name: format!("harness-{profile}"), images };
        image.build(profile)?;
        Ok(image)
    }

    fn build(&self, profile: &str) -> Result<(), HarnessError> {
        let agent = target_dir()?.join("lib/computer/computer-agent");
        let mut command = Command::new(program("computer")?);
        command
            .args(["--json", "image", "--image-dir", self.images.as_str(), "build", &self.name])
            .args(["--profile", profile, "--if-changed", "--agent", agent.as_str()]);
        let output = command.output().map_err(HarnessError::io("run computer image build"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(HarnessError::Tool {
            command: format!("computer image build {}", self.name),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        })
    }

    /// The directory of its files.
    pub fn dir(&self) -> Utf8PathBuf {
        self.images.join(&self.name)
    }

    /// What a request says to use it, digests included.
    pub fn artifact(&self) -> Result<ArtifactRef, HarnessError> {
        let dir = self.dir();
        let path = dir.join("image.json");
        let text =
            std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
        let description: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| HarnessError::value(path.as_str(), error))?;
        let (kernel_image_url, kernel) = file(&dir, &description["kernel"])?;
        let initrd = match &description["initrd"] {
            serde_json::Value::Null => None,
            initrd => Some(file(&dir, initrd)?),
        };
        let (initrd_url, initrd_sha256_hex) = initrd.unzip();
        let (rootfs_url, root) = file(&dir, &description["root"])?;
        Ok(ArtifactRef {
            kernel_image_url,
            rootfs_url,
            initrd_url,
            kernel_sha256_hex: Some(kernel),
            rootfs_sha256_hex: Some(root),
            initrd_sha256_hex,
        })
    }
}

/// One builds, the others wait for it.
fn lock(images: &Utf8Path, profile: &str) -> Result<File, HarnessError> {
    std::fs::create_dir_all(images).map_err(HarnessError::io(format!("make {images}")))?;
    let path = images.join(format!(".{profile}.lock"));
    let lock = File::create(&path).map_err(HarnessError::io(format!("make {path}")))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)
        .map_err(|error| HarnessError::io(format!("lock {path}"))(error.into()))?;
    Ok(lock)
}

fn file(
    dir: &Utf8Path,
    file: &serde_json::Value,
) -> Result<(contract::ArtifactUrl, contract::Sha256Hex), HarnessError> {
    let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
    let path = dir.join(text("file"));
    let url = format!("file://{path}")
        .parse()
        .map_err(|error| HarnessError::value(path.as_str(), error))?;
    let sum = text("sha256").parse().map_err(|error| HarnessError::value(path.as_str(), error))?;
    Ok((url, sum))
}
