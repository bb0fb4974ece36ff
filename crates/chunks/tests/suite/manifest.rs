//! The manifest as a disk format: version, strictness, limits, golden file.

use chunks::{Blake3Digest, ChunkMap, FileEntry, Manifest, ManifestError, ManifestLimits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{id, name};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    vmm: String,
    memory_mib: u32,
}

const GOLDEN: &[u8] = include_bytes!("../golden/manifest-v1.json");

fn entry(artifact: &str, file: &str, size: u64, chunks: &[u64]) -> FileEntry {
    let chunks = chunks.iter().map(|chunk| (*chunk, Blake3Digest::of(&chunk.to_le_bytes())));
    let chunks = ChunkMap::from_ordered(chunks).expect("ascending");
    FileEntry::new(id(artifact), name(file), size, 1 << 20, chunks).expect("a possible file")
}

fn manifest() -> Manifest<Origin> {
    let origin = Origin { vmm: "qemu".to_owned(), memory_mib: 256 };
    let files = vec![
        entry("memory", "memory.bin", 256 << 20, &[0, 1, 2, 100, 255]),
        entry("vmstate", "vmstate.bin", 12_345, &[0]),
        entry("disk-system", "system.img", 5 << 30, &[]),
    ];
    Manifest::new(origin, files, &ManifestLimits::default()).expect("a manifest")
}

fn decode(bytes: &[u8]) -> Result<Manifest<Origin>, ManifestError> {
    Manifest::decode(bytes, &ManifestLimits::default())
}

/// The golden manifest with one thing changed.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(GOLDEN).expect("JSON");
    change(&mut value);
    serde_json::to_vec(&value).expect("JSON")
}

#[test]
fn version_1_is_written_and_read_as_it_always_was() {
    let bytes = manifest().encode(&ManifestLimits::default()).expect("encoded");
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(GOLDEN).trim_end());
    assert_eq!(decode(GOLDEN).expect("decoded"), manifest());
}

#[test]
fn another_version_is_refused_as_such_even_when_its_form_is_unknown() {
    let newer = br#"{"version":2,"parts":[{"shape":"new"}]}"#;
    assert!(matches!(decode(newer), Err(ManifestError::Version { found: 2 })));
}

#[test]
fn what_is_not_understood_is_refused_promise_p6() {
    let malformed = [
        changed(|value| value["surprise"] = 1.into()),
        changed(|value| value["origin"]["surprise"] = 1.into()),
        changed(|value| value["files"][0]["surprise"] = 1.into()),
        changed(|value| value["files"][0]["chunks"][0]["surprise"] = 1.into()),
        changed(|value| value["files"][0]["name"] = "../../etc/passwd".into()),
        changed(|value| value["files"][0]["name"] = "a/b".into()),
        changed(|value| value["files"][0]["size_bytes"] = (-1).into()),
        changed(|value| value["files"][0]["size_bytes"] = 1.into()),
        changed(|value| value["files"][0]["size_bytes"] = u64::MAX.into()),
        changed(|value| value["files"][0]["chunk_bytes"] = 0.into()),
        changed(|value| value["files"][0]["chunk_bytes"] = 1000.into()),
        changed(|value| value["files"][0]["chunk_bytes"] = (1u64 << 30).into()),
        changed(|value| value["files"][0]["chunks"][0]["digests"] = "AAAA".into()),
        changed(|value| value["root"] = "00".into()),
        b"{\"version\":1}".to_vec(),
        b"".to_vec(),
    ];
    for bytes in malformed {
        // The root does not cover a changed origin, so there either reason will do.
        let refused =
            matches!(decode(&bytes), Err(ManifestError::Malformed(_) | ManifestError::Root { .. }));
        assert!(refused, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn an_unknown_field_of_the_origin_is_refused_though_the_root_covers_it_promise_p6() {
    #[derive(Serialize, Deserialize)]
    struct Newer {
        vmm: String,
        memory_mib: u32,
        surprise: bool,
    }
    let origin = Newer { vmm: "qemu".to_owned(), memory_mib: 1, surprise: true };
    let limits = ManifestLimits::default();
    let newer = Manifest::new(origin, Vec::new(), &limits).expect("a manifest");
    let bytes = newer.encode(&limits).expect("encoded");
    assert!(matches!(decode(&bytes), Err(ManifestError::Malformed(_))));
}

#[test]
fn any_change_of_content_is_noticed_by_the_root_promise_p6() {
    let changes = [
        changed(|value| value["origin"]["memory_mib"] = 257.into()),
        changed(|value| value["files"][0]["id"] = "memory-2".into()),
        changed(|value| value["files"][0]["name"] = "other.bin".into()),
        changed(|value| value["files"][0]["size_bytes"] = ((256u64 << 20) - 1).into()),
        changed(|value| value["files"][0]["chunks"][1]["first_chunk"] = 101.into()),
        changed(|value| {
            value["files"].as_array_mut().expect("files").pop();
        }),
        changed(|value| value["files"].as_array_mut().expect("files").swap(0, 1)),
    ];
    for bytes in changes {
        let outcome = decode(&bytes);
        assert!(matches!(outcome, Err(ManifestError::Root { .. })), "{outcome:?}");
    }
}

#[test]
fn two_files_of_one_name_or_id_are_refused() {
    let origin = || Origin { vmm: String::new(), memory_mib: 0 };
    let pairs = [
        [entry("memory", "a", 1, &[0]), entry("memory", "b", 1, &[0])],
        [entry("memory", "a", 1, &[0]), entry("vmstate", "a", 1, &[0])],
    ];
    for pair in pairs {
        let outcome = Manifest::new(origin(), pair.to_vec(), &ManifestLimits::default());
        assert!(matches!(outcome, Err(ManifestError::Duplicate { .. })));
    }
}

#[test]
fn size_and_number_of_files_are_bounded_on_both_sides() {
    let small = ManifestLimits { size_bytes: 100, files: 256 };
    assert!(matches!(manifest().encode(&small), Err(ManifestError::TooLarge { .. })));
    let outcome = Manifest::<Origin>::decode(GOLDEN, &small);
    assert!(matches!(outcome, Err(ManifestError::TooLarge { .. })));
    let few = ManifestLimits { files: 2, ..ManifestLimits::default() };
    let outcome = Manifest::<Origin>::decode(GOLDEN, &few);
    assert!(matches!(outcome, Err(ManifestError::TooManyFiles { files: 3, limit: 2 })));
}

#[test]
fn a_full_disk_of_10_gib_is_described_in_a_few_hundred_kilobytes() {
    let every_chunk: Vec<u64> = (0..10 * 1024).collect();
    let origin = Origin { vmm: String::new(), memory_mib: 0 };
    let files = vec![entry("disk-system", "system.img", 10 << 30, &every_chunk)];
    let limits = ManifestLimits::default();
    let manifest = Manifest::new(origin, files, &limits).expect("a manifest");
    let bytes = manifest.encode(&limits).expect("encoded");
    assert!(bytes.len() < 450_000, "{} bytes", bytes.len());
    assert_eq!(decode(&bytes).expect("decoded"), manifest);
}
