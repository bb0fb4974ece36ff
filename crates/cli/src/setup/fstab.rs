//! The storage's line in /etc/fstab.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use super::{
    error::{SetupError, at},
    plan::Wanted,
};

const FSTAB: &str = "/etc/fstab";

/// The line of /etc/fstab for the storage. A host starts without it, rather than not at all.
pub(super) fn line(wanted: &Wanted) -> String {
    format!("{} {} xfs loop,noatime,nofail 0 0", wanted.file.display(), wanted.mount.display())
}

/// Adds the storage's line.
pub(super) fn add(wanted: &Wanted) -> Result<(), SetupError> {
    write(&with_line(&read()?, &line(wanted)))
}

/// Removes the storage's line.
pub(super) fn remove(wanted: &Wanted) -> Result<(), SetupError> {
    write(&without_line(&read()?, &line(wanted)))
}

fn with_line(fstab: &str, line: &str) -> String {
    let gap = if fstab.is_empty() || fstab.ends_with('\n') { "" } else { "\n" };
    format!("{fstab}{gap}{line}\n")
}

fn without_line(fstab: &str, line: &str) -> String {
    let kept = fstab.split_inclusive('\n').filter(|one| one.trim_end_matches('\n') != line);
    kept.collect()
}

/// The whole table; none is an empty one.
pub(super) fn read() -> Result<String, SetupError> {
    match fs::read_to_string(FSTAB) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(at("read", FSTAB)(error)),
    }
}

/// Replaces the table as a whole, so that a crash leaves the old one or the new one.
fn write(text: &str) -> Result<(), SetupError> {
    let new = format!("{FSTAB}.computer-new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(FSTAB) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&new, FSTAB)
    };
    write().map_err(at("write", FSTAB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_storages_own_line_comes_and_goes() {
        let table = "# by hand\n/dev/sda1 / ext4 defaults 0 1";
        let line = "/s.xfs /s xfs loop 0 0";
        let added = with_line(table, line);
        assert_eq!(added, format!("{table}\n{line}\n"));
        assert_eq!(without_line(&added, line), format!("{table}\n"));
        assert_eq!(with_line("", line), format!("{line}\n"));
        assert_eq!(without_line(table, line), table);
    }
}
