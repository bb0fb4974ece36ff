//! The root file system: a directory becomes an ext4 image by `mke2fs -d`, without a loop device or a mount.

use std::{fs::File, path::Path, time::Duration};

use super::error::{ImageError, at};
use crate::{
    byte_size::ByteSize,
    tool::{Tool, ToolError},
};

const DEADLINE: Duration = Duration::from_secs(600);

/// What a file system is made as.
#[derive(Debug)]
pub(crate) struct RootImage<'a> {
    /// The directory that becomes its content.
    pub(crate) tree: &'a Path,
    /// Its size.
    pub(crate) size: ByteSize,
    /// A digest of what was asked for: the same asks give the same identifiers.
    pub(crate) content_key: &'a str,
    /// Its time of making, in seconds since 1970.
    pub(crate) time: i64,
}

impl RootImage<'_> {
    /// Writes the image to `path`, sparse.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ImageError> {
        let file = File::create_new(path).map_err(at("make", path))?;
        file.set_len(self.size.bytes()).map_err(at("size", path))?;
        let identifier = identifier(self.content_key);
        Tool::new("mke2fs", "e2fsprogs")
            .arguments(["-q", "-F", "-t", "ext4", "-m", "0", "-L", "root", "-b", "4096", "-U"])
            .argument(&identifier)
            .argument("-E")
            .argument(format!("hash_seed={identifier},lazy_itable_init=1,lazy_journal_init=1"))
            .argument("-d")
            .argument(self.tree)
            .argument(path)
            .variable("E2FSPROGS_FAKE_TIME", self.time.to_string())
            .deadline(DEADLINE)
            .run()
            .map(|_| ())
            .map_err(|source| self.explain(source))
    }

    fn explain(&self, source: ToolError) -> ImageError {
        match &source {
            ToolError::Failed { said, .. } if said.contains("Could not allocate") => {
                ImageError::TooSmall { size: self.size, source }
            }
            _ => ImageError::Tool { action: "make the root file system", source },
        }
    }
}

/// A UUID, of the version for custom values, out of a hexadecimal digest.
fn identifier(digest: &str) -> String {
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or("0");
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_systems_identifier_follows_from_what_was_asked() {
        let digest = "0123456789abcdef0123456789abcdef".repeat(2);
        assert_eq!(identifier(&digest), "01234567-89ab-8def-8123-456789abcdef");
    }

    #[test]
    fn a_directory_becomes_a_file_system_of_the_asked_size()
    -> Result<(), Box<dyn std::error::Error>> {
        if crate::tool::find_program("mke2fs").is_none() {
            println!("skipped: mke2fs is not installed");
            return Ok(());
        }
        let directory = tempfile::tempdir()?;
        let tree = directory.path().join("tree");
        std::fs::create_dir(&tree)?;
        std::fs::write(tree.join("file"), vec![7; 3 << 20])?;
        let image = |size| RootImage {
            tree: &tree,
            size: ByteSize::from_mib(size),
            content_key: "0123456789abcdef0123456789abcdef",
            time: 1_700_000_000,
        };
        let path = directory.path().join("root.img");
        image(16).write(&path)?;
        assert_eq!(std::fs::metadata(&path)?.len(), 16 << 20);
        let again = directory.path().join("again.img");
        image(16).write(&again)?;
        assert!(std::fs::read(&path)? == std::fs::read(&again)?, "the same asks, the same bytes");
        let small = image(2).write(&directory.path().join("small.img"));
        assert!(matches!(small, Err(ImageError::TooSmall { .. })), "{small:?}");
        Ok(())
    }
}
