//! The uncompressed kernel inside a `bzImage`: a machine boots it directly, without spending guest time on decompression.
//!
//! The setup header (Linux, `Documentation/arch/x86/boot.rst`, protocol 2.08 and later) tells where the payload is; the kernel's
//! build appends the payload's uncompressed size to it. Debian 12 compresses by LZ4 (a legacy stream), Debian 13 by Zstandard; any other
//! compression is left as it is, for the kernel's own boot code.

use std::io;

use super::lz4::{self, InvalidLz4};

const SETUP_SECTORS: usize = 0x1f1;
const HEADER_MAGIC: usize = 0x202;
const PROTOCOL_VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR_BYTES: usize = 512;
const OLDEST_PROTOCOL: u16 = 0x0208;
const ZSTANDARD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// No kernel is larger.
const MOST_BYTES: usize = 512 << 20;
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Why bytes are no kernel that can be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKernel {
    /// The file is no bzImage of a protocol that tells where its payload is.
    #[error("it is no bzImage of boot protocol 2.08 or later")]
    Header,
    /// The payload is not within the file.
    #[error("its payload is not within the file")]
    Payload,
    /// The payload is damaged.
    #[error("its payload is damaged")]
    Lz4(#[from] InvalidLz4),
    /// The payload is damaged.
    #[error("its payload is damaged")]
    Zstandard(#[source] io::Error),
    /// The payload is no ELF file.
    #[error("its payload is no ELF file")]
    Elf,
}

/// The ELF kernel within a bzImage, or `None` when it is compressed in a way that is not known here.
pub(crate) fn extract(image: &[u8]) -> Result<Option<Vec<u8>>, InvalidKernel> {
    if image.get(HEADER_MAGIC..HEADER_MAGIC + 4) != Some(b"HdrS")
        || read_u16(image, PROTOCOL_VERSION)? < OLDEST_PROTOCOL
    {
        return Err(InvalidKernel::Header);
    }
    let setup_sectors = match image[SETUP_SECTORS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup_sectors + 1) * SECTOR_BYTES + read_u32(image, PAYLOAD_OFFSET)? as usize;
    let length = read_u32(image, PAYLOAD_LENGTH)? as usize;
    let payload = image.get(start..).and_then(|rest| rest.get(..length));
    let payload = payload.ok_or(InvalidKernel::Payload)?;
    let (stream, size) = payload.split_last_chunk::<4>().ok_or(InvalidKernel::Payload)?;
    let size = u32::from_le_bytes(*size) as usize;
    let is_lz4 = stream.starts_with(&lz4::MAGIC);
    if !is_lz4 && !stream.starts_with(ZSTANDARD_MAGIC) {
        return Ok(None);
    }
    if size > MOST_BYTES {
        return Err(InvalidKernel::Payload);
    }
    let kernel = if is_lz4 {
        lz4::decode_legacy(stream, size)?
    } else {
        zstd::bulk::decompress(stream, size).map_err(InvalidKernel::Zstandard)?
    };
    if kernel.starts_with(ELF_MAGIC) { Ok(Some(kernel)) } else { Err(InvalidKernel::Elf) }
}

fn read_u16(image: &[u8], at: usize) -> Result<u16, InvalidKernel> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk::<2>());
    bytes.map(|bytes| u16::from_le_bytes(*bytes)).ok_or(InvalidKernel::Header)
}

fn read_u32(image: &[u8], at: usize) -> Result<u32, InvalidKernel> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(InvalidKernel::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bzimage(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR_BYTES];
        image[SETUP_SECTORS] = 1;
        image[HEADER_MAGIC..][..4].copy_from_slice(b"HdrS");
        image[PROTOCOL_VERSION..][..2].copy_from_slice(&0x020fu16.to_le_bytes());
        image[PAYLOAD_OFFSET..][..4].copy_from_slice(&16u32.to_le_bytes());
        image[PAYLOAD_LENGTH..][..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend([0xcc; 16]);
        image.extend(payload);
        image
    }

    fn lz4_payload(content: &[u8]) -> Vec<u8> {
        let mut payload = lz4::MAGIC.to_vec();
        payload.extend((content.len() as u32 + 1).to_le_bytes());
        payload.push((content.len() as u8) << 4);
        payload.extend(content);
        payload.extend((content.len() as u32).to_le_bytes());
        payload
    }

    fn zstandard_payload(content: &[u8]) -> Vec<u8> {
        let mut payload = zstd::bulk::compress(content, 3).expect("it compresses");
        payload.extend((content.len() as u32).to_le_bytes());
        payload
    }

    fn extracted(payload: &[u8]) -> Option<Vec<u8>> {
        extract(&bzimage(payload)).expect("a kernel")
    }

    #[test]
    fn the_elf_kernel_is_taken_out_of_a_bzimage_of_debian_12_and_13() {
        let kernel = b"\x7fELF-kernel";
        assert_eq!(extracted(&lz4_payload(kernel)).as_deref(), Some(&kernel[..]));
        assert_eq!(extracted(&zstandard_payload(kernel)).as_deref(), Some(&kernel[..]));
    }

    #[test]
    fn a_kernel_of_another_compression_is_left_as_it_is() {
        assert_eq!(extracted(b"\xfd7zXZ\0 and more"), None);
    }

    #[test]
    fn what_is_no_bzimage_is_refused() {
        assert!(matches!(extract(b""), Err(InvalidKernel::Header)));
        assert!(matches!(extract(&[0; 4096]), Err(InvalidKernel::Header)));
        let mut old = bzimage(b"");
        old[PROTOCOL_VERSION..][..2].copy_from_slice(&0x0207u16.to_le_bytes());
        assert!(matches!(extract(&old), Err(InvalidKernel::Header)));
        let mut cut = bzimage(&lz4_payload(b"\x7fELF-kernel"));
        cut.truncate(cut.len() - 1);
        assert!(matches!(extract(&cut), Err(InvalidKernel::Payload)));
    }

    #[test]
    fn a_payload_that_is_no_kernel_is_refused() {
        let no_elf = bzimage(&lz4_payload(b"something"));
        assert!(matches!(extract(&no_elf), Err(InvalidKernel::Elf)));
        let mut longer_than_said = zstandard_payload(&[7; 4096]);
        let size = longer_than_said.len() - 4;
        longer_than_said[size..].copy_from_slice(&4095u32.to_le_bytes());
        let longer_than_said = extract(&bzimage(&longer_than_said));
        assert!(matches!(longer_than_said, Err(InvalidKernel::Zstandard(_))));
        let huge = bzimage(b"\x28\xb5\x2f\xfd \xff\xff\xff\xff");
        assert!(matches!(extract(&huge), Err(InvalidKernel::Payload)));
    }
}
