//! rclone's configuration of one remote: a file of root's on a tmpfs, so that no secret reaches a disk or an argument.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::MountError;

/// What the remote is called in its configuration.
pub(super) const REMOTE: &str = "store";
/// The longest value of an option.
const VALUE_BYTES: usize = 4096;

/// A configuration that is there until this is dropped.
#[derive(Debug)]
pub(super) struct Config {
    path: PathBuf,
}

impl Config {
    /// Writes the options beneath `directory`, which is on a tmpfs.
    pub(super) fn write(
        directory: &Path,
        id: &str,
        options: &HashMap<String, String>,
    ) -> Result<Config, MountError> {
        let text = text(options)?;
        let make = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        make.map_err(MountError::file("make", directory))?;
        let path = directory.join(format!("{id}.conf"));
        remove(&path).map_err(MountError::file("remove", &path))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(MountError::file("make", &path))?;
        let config = Config { path };
        file.write_all(text.as_bytes()).map_err(MountError::file("write", &config.path))?;
        Ok(config)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "left the configuration of a mount on its tmpfs");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// As rclone reads it. A value that could begin another line is refused.
fn text(options: &HashMap<String, String>) -> Result<String, MountError> {
    let mut names: Vec<&String> = options.keys().collect();
    names.sort();
    let mut text = format!("[{REMOTE}]\n");
    for name in names {
        let value = &options[name];
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_name {
            return Err(MountError::Invalid("the name of an option has lower-case letters only"));
        }
        if value.len() > VALUE_BYTES || value.chars().any(char::is_control) {
            return Err(MountError::Invalid("the value of an option is one line of text"));
        }
        // Writing to a String cannot fail.
        writeln!(text, "{name} = {value}").expect("a String takes any text");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn options(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn promise_p11_the_secret_is_in_a_file_of_the_agents_own_and_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("mounts");
        let wanted = options(&[("type", "s3"), ("secret_access_key", "hunter2")]);
        let config = Config::write(&inner, "data", &wanted).unwrap();
        let text = fs::read_to_string(config.path()).unwrap();
        assert_eq!(text, "[store]\nsecret_access_key = hunter2\ntype = s3\n");
        assert_eq!(fs::metadata(config.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        drop(config);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    }

    #[test]
    fn no_value_begins_another_line() {
        for wrong in [options(&[("endpoint", "a\ntype = local")]), options(&[("a\nb", "c")])] {
            assert!(matches!(text(&wrong), Err(MountError::Invalid(_))));
        }
    }
}
