//! Kernel settings under /proc/sys/net, as the calling thread's network namespace sees them.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::NetworkError;

/// Writes `value` to the setting `name`, such as `ipv4/ip_forward`.
pub(super) fn write(name: &str, value: &str) -> Result<(), NetworkError> {
    let path = path(name);
    fs::write(&path, value).map_err(|source| NetworkError::Setting {
        action: "change",
        path,
        source,
    })
}

/// Writes the setting where the kernel has it, as one built without IPv6 has none of `ipv6/`.
pub(super) fn write_where_present(name: &str, value: &str) -> Result<(), NetworkError> {
    match write(name, value) {
        Err(NetworkError::Setting { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(())
        }
        result => result,
    }
}

/// Reads the setting, without its newline.
pub(super) fn read(name: &str) -> Result<String, NetworkError> {
    let path = path(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(NetworkError::Setting { action: "read", path, source }),
    }
}

fn path(name: &str) -> Utf8PathBuf {
    Utf8Path::new("/proc/sys/net").join(name)
}
