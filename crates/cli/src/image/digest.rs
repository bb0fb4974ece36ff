//! SHA-256 of the files of an image and of what was asked of its build.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::error::{ImageError, at};

const BUFFER_BYTES: usize = 1 << 20;

/// A file's digest in hexadecimal, and its size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileDigest {
    pub(crate) sha256: String,
    pub(crate) size_bytes: u64,
}

impl FileDigest {
    /// Reads the file at `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, ImageError> {
        let mut file = File::open(path).map_err(at("open", path))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut size_bytes = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    size_bytes += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at("read", path)(error)),
            }
        }
        Ok(Self { sha256: hex::encode(hasher.finalize()), size_bytes })
    }
}

/// The digest of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// One digest of several texts, each delimited.
pub(crate) fn key<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_bytes_have_one_digest() -> Result<(), Box<dyn std::error::Error>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), "abc")?;
        let digest = FileDigest::of(file.path())?;
        assert_eq!(digest, FileDigest { sha256: sha256(b"abc"), size_bytes: 3 });
        assert!(digest.sha256.starts_with("ba7816bf"));
        Ok(())
    }

    #[test]
    fn a_key_tells_apart_where_one_text_ends() {
        assert_ne!(key(["ab", "c"]), key(["a", "bc"]));
        assert_eq!(key(["ab", "c"]), key(["ab", "c"]));
    }
}
