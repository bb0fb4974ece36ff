//! Copying the data of a sparse file and none of its holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::extents::{DataExtents, Extent};

/// Bytes copied by one system call; a killed process waits for at most this much.
const STEP_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes copied at once where the kernel cannot copy for us.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Copies every data extent of `from` into the new, empty `to`, and gives it the same size. Answers
/// the bytes copied.
pub(super) fn copy_sparse(from: &File, to: &File) -> io::Result<u64> {
    let size_bytes = from.metadata()?.len();
    to.set_len(size_bytes)?;
    let mut copied_bytes = 0;
    let mut kernel_copies = true;
    for extent in DataExtents::new(from, size_bytes) {
        let extent = extent?;
        if kernel_copies {
            kernel_copies = copy_in_kernel(from, to, extent)?;
        }
        if !kernel_copies {
            copy_through_buffer(from, to, extent)?;
        }
        copied_bytes += extent.length_bytes;
    }
    Ok(copied_bytes)
}

/// Copies one extent by copy_file_range; false when these two file systems cannot.
fn copy_in_kernel(from: &File, to: &File, extent: Extent) -> io::Result<bool> {
    let (mut offset_in, mut offset_out) = (extent.offset_bytes, extent.offset_bytes);
    while offset_in < extent.end_bytes() {
        let length = (extent.end_bytes() - offset_in).min(STEP_BYTES) as usize;
        match rustix::fs::copy_file_range(
            from,
            Some(&mut offset_in),
            to,
            Some(&mut offset_out),
            length,
        ) {
            Ok(0) => return Err(truncated()),
            Ok(_) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

fn copy_through_buffer(from: &File, to: &File, extent: Extent) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut offset = extent.offset_bytes;
    while offset < extent.end_bytes() {
        let length = (extent.end_bytes() - offset).min(BUFFER_BYTES as u64) as usize;
        from.read_exact_at(&mut buffer[..length], offset)?;
        to.write_all_at(&buffer[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was copied")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_copies_what_the_kernel_would() -> io::Result<()> {
        let (from, to) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let bytes: Vec<u8> = (0..2 * BUFFER_BYTES + 5).map(|index| (index % 251) as u8).collect();
        from.write_all_at(&bytes, 0)?;

        copy_through_buffer(
            &from,
            &to,
            Extent { offset_bytes: 3, length_bytes: bytes.len() as u64 - 3 },
        )?;

        let mut read = vec![0; bytes.len() - 3];
        to.read_exact_at(&mut read, 3)?;
        assert!(read == bytes[3..]);
        Ok(())
    }
}
