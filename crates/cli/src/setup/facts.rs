//! What the host has where the storage is to be.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::fs::statvfs;

use super::{
    error::{SetupError, at},
    fstab, mounts,
    plan::{Facts, FileFact, MountFact, Wanted},
};
use crate::byte_size::ByteSize;

const XFS_MAGIC: &[u8; 4] = b"XFSB";

/// Looks at the file, the mount and the room.
pub(super) fn find_facts(wanted: &Wanted) -> Result<Facts, SetupError> {
    let directory = wanted.file.ancestors().skip(1).find(|parent| parent.is_dir());
    let directory = directory.unwrap_or(Path::new("/"));
    let space = statvfs(directory).map_err(at("find the free space of", directory))?;
    let fstab = fstab::read()?;
    Ok(Facts {
        file: file_fact(&wanted.file).map_err(at("read", &wanted.file))?,
        mount: mount_fact(wanted).map_err(at("look at", &wanted.mount))?,
        is_in_fstab: fstab.lines().any(|line| line == fstab::line(wanted)),
        free: ByteSize::from_bytes(space.f_bavail.saturating_mul(space.f_frsize)),
    })
}

fn file_fact(path: &Path) -> io::Result<FileFact> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileFact::Absent),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Ok(FileFact::Other);
    }
    if metadata.blocks() == 0 {
        return Ok(FileFact::Blank);
    }
    let mut magic = [0; XFS_MAGIC.len()];
    match File::open(path)?.read_exact(&mut magic) {
        Ok(()) if magic == *XFS_MAGIC => Ok(FileFact::Xfs),
        Ok(()) => Ok(FileFact::Other),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(FileFact::Other),
        Err(error) => Err(error),
    }
}

fn mount_fact(wanted: &Wanted) -> io::Result<MountFact> {
    if let Some(mounted) = mounts::mounted_at(&wanted.mount)? {
        let file = mounts::backing_file(&mounted.source)?;
        let is_ours = file.is_some_and(|file| file == wanted.file);
        return Ok(if is_ours { MountFact::Ours } else { MountFact::Other(mounted.source) });
    }
    match fs::read_dir(&wanted.mount) {
        Ok(mut entries) => Ok(match entries.next() {
            None => MountFact::EmptyDirectory,
            Some(_) => MountFact::FullDirectory,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(MountFact::Absent),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_file_is_told_by_its_content() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        assert_eq!(file_fact(&path)?, FileFact::Absent);
        File::create(&path)?.set_len(1 << 20)?;
        assert_eq!(file_fact(&path)?, FileFact::Blank);
        fs::write(&path, b"XFSB and more")?;
        File::open(&path)?.sync_all()?;
        assert_eq!(file_fact(&path)?, FileFact::Xfs);
        fs::write(&path, "something else")?;
        File::open(&path)?.sync_all()?;
        assert_eq!(file_fact(&path)?, FileFact::Other);
        Ok(())
    }
}
