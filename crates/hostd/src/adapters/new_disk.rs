//! A new disk: a sparse file with an empty ext4, made by `mke2fs`. Only new files of ours are formatted here.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use engine::port::{Fault, PortError};
use tokio::process::Command;
use tokio::time::timeout;

use super::blocking;

/// mke2fs writes some 0.1 % of the disk at most, and lazily at that.
const DEADLINE: Duration = Duration::from_secs(120);
/// What is kept of its words for an error.
const WORDS_BYTES: usize = 512;
/// Where Debian and others have it; a daemon's PATH often lacks it.
const PROGRAMS: [&str; 3] = ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs"];

/// Makes the file and the file system on it.
pub(super) async fn format(to: &Utf8Path, size_bytes: u64, label: &str) -> Result<(), PortError> {
    let program = PROGRAMS.into_iter().find(|path| Utf8Path::new(path).is_file());
    let Some(program) = program else {
        let action = "find the program mke2fs (package e2fsprogs), which volumes need";
        return Err(PortError::plain(Fault::Unavailable, action));
    };
    let path = to.to_owned();
    blocking("make a disk", move || {
        make(&path, size_bytes).map_err(|error| PortError::io(format!("make {path}"), error))
    })
    .await?;
    let mut command = Command::new(program);
    command
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", label])
        // The first login user of an image writes to it; inode tables are written when they are used.
        .args(["-E", "root_owner=1000:1000,lazy_itable_init=1,lazy_journal_init=1", "--"])
        .arg(to)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let action = format!("make a file system on {to}");
    let ended = match timeout(DEADLINE, command.output()).await {
        Ok(ended) => ended.map_err(|error| PortError::io(action.clone(), error))?,
        Err(_elapsed) => return Err(PortError::plain(Fault::Deadline, action)),
    };
    if ended.status.success() {
        return Ok(());
    }
    let words = &ended.stderr[..ended.stderr.len().min(WORDS_BYTES)];
    let words = String::from_utf8_lossy(words).trim().to_owned();
    Err(PortError::internal(action, format!("mke2fs: {}: {words}", ended.status)))
}

fn make(path: &Utf8Path, size_bytes: u64) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_len(size_bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[tokio::test]
    async fn a_new_disk_is_sparse_labelled_and_made_anew_over_a_half_made_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("disk.img");
        fs::write(&path, "half made").unwrap();
        match format(&path, 1 << 30, "data").await {
            Err(error) if error.fault == Fault::Unavailable => {
                println!("skipped: {}", error.chain());
                return;
            }
            formatted => formatted.unwrap(),
        }
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.len(), metadata.mode() & 0o777), (1 << 30, 0o600));
        assert!(metadata.blocks() * 512 < 64 << 20, "{} blocks", metadata.blocks());
        let mut label = [0; 4];
        fs::File::open(&path).unwrap().read_exact_at(&mut label, 1024 + 0x78).unwrap();
        assert_eq!(&label, b"data");
    }
}
