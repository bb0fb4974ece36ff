//! Secrets in files of root's alone.

use std::fs;
use std::io;

use camino::Utf8Path;
use chunks::files::write_file;
use contract::Secret;
use engine::port::PortError;

use super::owned_dir::make_private_dir;

/// Far longer than any secret.
const SECRET_BYTES: u64 = 64 << 10;

/// Writes it durably, and makes its directory where that is missing.
pub(super) fn keep(path: &Utf8Path, secret: &Secret) -> Result<(), PortError> {
    let directory = path.parent().unwrap_or(path);
    if !directory.is_dir() {
        make_private_dir(directory)?;
    }
    write_file(path, secret.reveal().as_bytes(), 0o600)
        .map_err(|error| PortError::internal(format!("keep the secret {path}"), error))
}

pub(super) fn read(path: &Utf8Path) -> Result<Secret, PortError> {
    let read = |source| PortError::io(format!("read the secret {path}"), source);
    let file = chunks::files::open_regular(path).map_err(read)?;
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, SECRET_BYTES), &mut text).map_err(read)?;
    Ok(Secret::new(text))
}

/// The directory goes with the last.
pub(super) fn forget(path: &Utf8Path) -> Result<(), PortError> {
    let temporary = format!("{path}.tmp");
    for path in [path.as_str(), temporary.as_str()] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PortError::io(format!("forget the secret {path}"), error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    match path.parent().map(fs::remove_dir) {
        Some(Err(error))
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Err(PortError::io(format!("remove the directory of {path}"), error))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn promise_p11_a_secret_is_roots_alone_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let (one, other) = (root.join("mounts/one"), root.join("mounts/other"));
        for path in [&one, &other] {
            keep(path, &Secret::new("hunter2")).unwrap();
        }
        let mode = |path: &Utf8Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&one), mode(&root.join("mounts"))), (0o600, 0o700));
        assert_eq!(read(&one).unwrap().reveal(), "hunter2");
        forget(&one).unwrap();
        forget(&one).unwrap();
        assert!(root.join("mounts").exists());
        forget(&other).unwrap();
        assert!(!root.join("mounts").exists());
        assert!(read(&other).is_err());
    }
}
