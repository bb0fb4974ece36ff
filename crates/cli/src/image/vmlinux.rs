//! The uncompressed kernel inside a `bzImage`: a machine boots it directly, without spending guest time on decompression.
//!
//! The setup header (Linux, `Documentation/arch/x86/boot.rst`, protocol 2.08 and later) tells where the payload is; the kernel's
//! build appends the payload's uncompressed size to it. Debian's amd64 kernels are LZ4 legacy streams; any other compression is left as it is,
//! for the kernel's own boot code.

use super::lz4::{self, InvalidLz4};

const SETUP_SECTORS: usize = 0x1f1;
const HEADER_MAGIC: usize = 0x202;
const PROTOCOL_VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR_BYTES: usize = 512;
const OLDEST_PROTOCOL: u16 = 0x0208;
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// Why bytes are no kernel that can be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// The payload is no ELF file.
    #[error("its payload is no ELF file")]
    Elf,
}

/// The ELF kernel within a bzImage, or `None` when it is compressed otherwise than by LZ4.
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
    if !payload.starts_with(&lz4::MAGIC) {
        return Ok(None);
    }
    let (stream, size) = payload.split_last_chunk::<4>().ok_or(InvalidKernel::Payload)?;
    let kernel = lz4::decode_legacy(stream, u32::from_le_bytes(*size) as usize)?;
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

    #[test]
    fn the_elf_kernel_is_taken_out_of_an_lz4_bzimage() {
        let image = bzimage(&lz4_payload(b"\x7fELF-kernel"));
        assert_eq!(extract(&image), Ok(Some(b"\x7fELF-kernel".to_vec())));
    }

    #[test]
    fn a_kernel_of_another_compression_is_left_as_it_is() {
        assert_eq!(extract(&bzimage(b"\x28\xb5\x2f\xfd zstd")), Ok(None));
    }

    #[test]
    fn what_is_no_bzimage_is_refused() {
        assert_eq!(extract(b""), Err(InvalidKernel::Header));
        assert_eq!(extract(&[0; 4096]), Err(InvalidKernel::Header));
        let mut old = bzimage(b"");
        old[PROTOCOL_VERSION..][..2].copy_from_slice(&0x0207u16.to_le_bytes());
        assert_eq!(extract(&old), Err(InvalidKernel::Header));
        let mut cut = bzimage(&lz4_payload(b"\x7fELF-kernel"));
        cut.truncate(cut.len() - 1);
        assert_eq!(extract(&cut), Err(InvalidKernel::Payload));
        let no_elf = bzimage(&lz4_payload(b"something"));
        assert_eq!(extract(&no_elf), Err(InvalidKernel::Elf));
    }
}
