//! Kernels in both of their forms: an ELF file, which every version boots, and a bzImage, which newer ones do.

use camino::Utf8Path;
use engine::port::Vmm;
use vmm::conformance::Fixture;
use vmm::firecracker::Installed;

use super::support::TestHost;

/// The first version that boots a bzImage.
const FIRST_WITH_BZ_IMAGES: (u32, u32, u32) = (1, 17, 0);

#[tokio::test]
async fn a_bz_image_boots_where_the_version_allows_it_and_fails_with_the_reason_elsewhere() {
    let Some(host) = TestHost::open("bz").await else { return };
    boots_if_it_may(&host, host.firecracker.installation().default()).await;
    if let Some((_host, newer)) = TestHost::open_two("bztwo").await {
        boots_if_it_may(&newer.host, &newer.installed).await;
    }
}

async fn boots_if_it_may(host: &TestHost, installed: &Installed) {
    let mut spec = host.cold().await;
    let image = bz_image(&std::fs::read(&spec.kernel).unwrap());
    spec.kernel = host.new_file();
    write(&spec.kernel, &image);

    let launched = host.firecracker.launch(&spec).await;

    match launched {
        Ok(_handle) => {
            assert!(installed.version.numbers() >= FIRST_WITH_BZ_IMAGES, "{}", installed.version);
            host.wait_for_tick(&spec, 5).await;
        }
        Err(error) => {
            assert!(installed.version.numbers() < FIRST_WITH_BZ_IMAGES, "{}", error.chain());
            assert!(error.chain().to_lowercase().contains("kernel"), "{}", error.chain());
        }
    }
    host.firecracker.end(&spec.launch).await.unwrap();
}

fn write(path: &Utf8Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

/// The one segment of an ELF kernel behind the header of a bzImage, as Linux's boot protocol lays it out (`Documentation/arch/x86/boot.rst`).
fn bz_image(elf: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 512;
    let number = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap());
    let first = usize::try_from(number(32)).unwrap();
    let offset = usize::try_from(number(first + 8)).unwrap();
    let length = usize::try_from(number(first + 32)).unwrap();
    let mut image = vec![0; 2 * SECTOR];
    let fields: [(usize, &[u8]); 7] = [
        // One sector of code for real mode, which nobody runs.
        (0x1f1, &[1]),
        (0x1fe, &[0x55, 0xaa]),
        (0x202, b"HdrS"),
        // Protocol 2.15, loaded high, at 1 MiB, with a 64-bit entry.
        (0x206, &[0x0f, 0x02]),
        (0x211, &[1]),
        (0x214, &[0, 0, 0x10, 0]),
        (0x236, &[1, 0]),
    ];
    for (at, bytes) in fields {
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }
    image.extend_from_slice(&elf[offset..offset + length]);
    image
}
