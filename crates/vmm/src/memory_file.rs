//! Memory files: sparse, and written by extents.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use rustix::fs::{SeekFrom, copy_file_range, ioctl_ficlone, seek};
use rustix::io::Errno;

/// How much one call copies at most, so that a copy that is given up ends soon.
const STRIDE_BYTES: u64 = 16 << 20;

/// Writes every data extent of `from` over the same place of `onto`, and leaves the rest of it as it is. Done twice it does the same.
///
/// # Errors
/// When either cannot be read or written, or `onto` is of another size.
pub fn merge(from: &File, onto: &File) -> io::Result<u64> {
    let size = from.metadata()?.len();
    if onto.metadata()?.len() != size {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the sizes of memory files differ"));
    }
    let mut copied = 0;
    let mut at = 0;
    while at < size {
        let begin = match seek(from, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing but a hole follows.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(from, SeekFrom::Hole(begin))?.min(size);
        copy(from, onto, begin, end)?;
        copied += end - begin;
        at = end;
    }
    Ok(copied)
}

fn copy(from: &File, onto: &File, begin: u64, end: u64) -> io::Result<()> {
    let (mut read_at, mut write_at) = (begin, begin);
    while read_at < end {
        let length =
            usize::try_from((end - read_at).min(STRIDE_BYTES)).map_err(io::Error::other)?;
        match copy_file_range(from, Some(&mut read_at), onto, Some(&mut write_at), length) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            // Between file systems that cannot do it.
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return copy_by_hand(from, onto, read_at, end);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, onto: &File, begin: u64, end: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0_u8; 1 << 20];
    let mut at = begin;
    while at < end {
        let wanted = usize::try_from((end - at).min(buffer.len() as u64)).unwrap_or(buffer.len());
        from.read_exact_at(&mut buffer[..wanted], at)?;
        onto.write_all_at(&buffer[..wanted], at)?;
        at += wanted as u64;
    }
    Ok(())
}

/// Makes the new file `to` with the content of `from`: its blocks shared where the file system can, else its data copied.
pub(crate) fn clone_new(from: &File, to: &Utf8Path) -> io::Result<File> {
    let file = create(to)?;
    match ioctl_ficlone(&file, from) {
        Ok(()) => Ok(file),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY) => {
            file.set_len(from.metadata()?.len())?;
            merge(from, &file)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

/// A new file of root's alone.
fn create(path: &Utf8Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    const SIZE: u64 = 8 << 20;

    fn sparse(dir: &Utf8Path, name: &str, pages: &[(u64, u8)]) -> File {
        let file = create(&dir.join(name)).unwrap();
        file.set_len(SIZE).unwrap();
        for (page, value) in pages {
            file.write_all_at(&[*value; 4096], page * 4096).unwrap();
        }
        file
    }

    fn page(file: &File, number: u64) -> u8 {
        let mut byte = [0];
        file.read_exact_at(&mut byte, number * 4096).unwrap();
        byte[0]
    }

    #[test]
    fn promise_p5_a_diff_replaces_what_it_holds_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temporary.path()).unwrap();
        let base = sparse(dir, "base", &[(1, 1), (2, 1), (900, 1)]);
        let diff = sparse(dir, "diff", &[(2, 2), (3, 2), (2047, 2)]);

        let whole = clone_new(&base, &dir.join("whole")).unwrap();
        merge(&diff, &whole).unwrap();
        merge(&diff, &whole).unwrap();

        let pages: Vec<u8> =
            [0, 1, 2, 3, 900, 2047].iter().map(|number| page(&whole, *number)).collect();
        assert_eq!(pages, [0, 1, 2, 2, 1, 2]);
        assert_eq!(page(&base, 2), 1, "the base is left as it was");
        assert!(whole.metadata().unwrap().blocks() * 512 < SIZE / 4, "holes stay holes");
    }

    #[test]
    fn memory_of_another_size_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temporary.path()).unwrap();
        let base = sparse(dir, "base", &[]);
        base.set_len(SIZE / 2).unwrap();

        let error = merge(&sparse(dir, "diff", &[(0, 1)]), &base).unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
