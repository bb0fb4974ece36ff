//! The guest's SSH host keys: each machine's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::Cgroup;
use super::helper::{self, HelperError, is_program};
use super::places::Places;
use super::reaper::Reaper;

const DIRECTORY: &str = "/etc/ssh";
const KEY: &str = "ssh_host_ed25519_key";
const GENERATOR: &str = "/usr/bin/ssh-keygen";

/// Making an Ed25519 key takes milliseconds, but a guest may be emulated and its host loaded.
const GENERATE_DEADLINE: Duration = Duration::from_secs(30);

/// A public key's line is far shorter.
const MOST_KEY_BYTES: usize = 4096;

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshKeysError {
    #[error("make an SSH host key")]
    Generate(#[source] HelperError),
    #[error("change the SSH host keys in {directory}")]
    Files { directory: PathBuf, source: io::Error },
}

/// What the image lacks for host keys, when it lacks something.
pub(crate) fn missing(places: &Places) -> Option<&'static str> {
    if !places.path(DIRECTORY).is_dir() {
        return Some("the image has no /etc/ssh");
    }
    (!is_program(Path::new(GENERATOR))).then_some("the image has no ssh-keygen")
}

/// A host key of any kind is there.
pub(crate) fn exist(places: &Places) -> bool {
    let Ok(entries) = places.path(DIRECTORY).read_dir() else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("ssh_host_") && name.ends_with("_key")
    })
}

/// The public key; empty when there is none.
pub(crate) fn public_key(places: &Places) -> String {
    let path = places.path(DIRECTORY).join(KEY).with_extension("pub");
    let mut line = fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    if line.len() > MOST_KEY_BYTES || line.contains('\n') {
        line.clear();
    }
    line
}

/// Puts one new Ed25519 key in the place of all host keys; those of other kinds came from the image or the source of a
/// clone, and are removed.
pub(crate) async fn regenerate(
    places: &Places,
    reaper: &Reaper,
    cgroup: Option<&Cgroup>,
) -> Result<(), SshKeysError> {
    let directory = places.path(DIRECTORY);
    let new = directory.join(format!(".{KEY}.new"));
    let files = |source| SshKeysError::Files { directory: directory.clone(), source };
    remove(&new).map_err(files)?;
    remove(&new.with_extension("new.pub")).map_err(files)?;
    let path = new.to_string_lossy();
    let command = [GENERATOR, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &path];
    helper::run(reaper, cgroup, &command, GENERATE_DEADLINE)
        .await
        .map_err(SshKeysError::Generate)?;
    replace(&directory, &new).map_err(files)
}

fn replace(directory: &Path, new: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(entry.path())?;
        }
    }
    let key = directory.join(KEY);
    fs::rename(new.with_extension("new.pub"), key.with_extension("pub"))?;
    fs::rename(new, key)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
