//! What was changed at rest is never given to anybody, and always named (promise P6).

use camino::Utf8PathBuf;
use chunks::chunked::{
    ChunkProblem, ChunkedError, DirectorySource, TenantKey, check_form, check_set, pack_name,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Form, MIB, assemble, cut, noise, scratch};

/// Two forms of two moments of one file, each of several packs.
fn two_forms(root: &camino::Utf8Path, key: Option<&TenantKey>) -> (Form, Form) {
    let file = root.join("memory.bin");
    let mut bytes = noise(3 * MIB, 1);
    std::fs::write(&file, &bytes).expect("a file");
    let older = cut(&file, root, "older", &[], key);
    bytes[MIB as usize..].copy_from_slice(&noise(2 * MIB, 2));
    std::fs::write(&file, &bytes).expect("a file");
    (older, cut(&file, root, "newer", &[], key))
}

fn pack_path(form: &Form, number: usize) -> Utf8PathBuf {
    form.dir.join(pack_name(&form.form.document.packs[number].id))
}

/// Puts other bytes in place of a pack, and requires that reading and looking both name it.
fn replaced(form: &Form, number: usize, bytes: Vec<u8>, key: Option<&TenantKey>, what: &str) {
    let (path, entry) = (pack_path(form, number), &form.form.document.packs[number]);
    let whole = std::fs::read(&path).expect("the pack");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, bytes).expect("replaced");

    let target = form.dir.join("out");
    let error = assemble(&form.form.document, &[&form.dir], &target, key).expect_err(what);
    assert!(error.is_tampering(), "{what}: {error}");
    assert!(
        matches!(&error, ChunkedError::Chunk { pack, .. } if *pack == entry.id),
        "{what}: {error}"
    );
    assert!(error.to_string().contains(&entry.id.to_string()));
    let never = CancellationToken::new();
    let set = check_set(&form.dir, &never).expect("looked");
    assert_eq!(set.problems.len(), 1, "{what}: {:?}", set.problems);
    assert!(set.problems[0].to_string().contains(&entry.id.to_string()));
    let source = DirectorySource::open([form.dir.as_path()]).expect("the packs");
    let checked = check_form(&form.form.document, &source, key, &never).expect("looked");
    assert!(!checked.problems.is_empty(), "{what}");

    std::fs::remove_file(&target).expect("removed");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, whole).expect("put back");
}

fn corpus(key: Option<&TenantKey>) {
    let scratch = scratch();
    let (older, newer) = two_forms(&scratch.path, key);
    let read = |form: &Form, number| std::fs::read(pack_path(form, number)).expect("a pack");
    let pack = read(&newer, 1);

    for at in [8, 9, pack.len() / 2] {
        let mut flipped = pack.clone();
        flipped[at] ^= 1;
        replaced(&newer, 1, flipped, key, &format!("a bit flipped at {at}"));
    }
    replaced(&newer, 1, pack[..pack.len() / 2].to_vec(), key, "truncated");
    replaced(&newer, 1, vec![], key, "emptied");
    replaced(&newer, 1, read(&newer, 0), key, "swapped with a pack of the same form");
    replaced(&newer, 1, read(&older, 1), key, "the pack of an older moment");
    // One chunk of the pack twice, in place of its neighbour.
    let mut places: Vec<_> =
        newer.form.document.chunks.0.iter().filter(|it| it.pack == 1).collect();
    places.sort_by_key(|place| place.offset_bytes);
    let range = |index: usize| {
        let begin = places[index].offset_bytes as usize;
        begin..begin + places[index].length_bytes as usize
    };
    let mut doubled = pack.clone();
    let first = pack[range(0)].to_vec();
    doubled[range(1)].copy_from_slice(&first);
    replaced(&newer, 1, doubled, key, "a chunk duplicated over its neighbour");
    let mut swapped = pack.clone();
    swapped[range(0)].copy_from_slice(&pack[range(1)]);
    swapped[range(1)].copy_from_slice(&first);
    replaced(&newer, 1, swapped, key, "two chunks swapped");

    let target = scratch.join("whole");
    assemble(&newer.form.document, &[&newer.dir], &target, key).expect("put back, it is whole");
}

#[test]
fn promise_p6_packs_changed_at_rest_are_never_read_and_always_named() {
    corpus(None);
}

#[test]
fn promise_p6_sealed_packs_changed_at_rest_are_never_read_and_always_named() {
    corpus(Some(&TenantKey::new(&[9; 32]).expect("a key")));
}

#[test]
fn promise_p6_a_bit_flipped_in_a_sealed_frame_does_not_even_decompress() {
    let scratch = scratch();
    let key = TenantKey::new(&[9; 32]).expect("a key");
    let (_, newer) = two_forms(&scratch.path, Some(&key));
    let path = pack_path(&newer, 0);
    let mut bytes = std::fs::read(&path).expect("the pack");
    bytes[100] ^= 0x80;
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, bytes).expect("replaced");
    let error = assemble(&newer.form.document, &[&newer.dir], &scratch.join("out"), Some(&key));
    let error = error.expect_err("tampered");
    assert!(matches!(error, ChunkedError::Chunk { problem: ChunkProblem::Seal, .. }), "{error}");
}

#[test]
fn promise_p6_a_pack_that_is_missing_is_named() {
    let scratch = scratch();
    let (_, newer) = two_forms(&scratch.path, None);
    let pack = newer.form.document.packs[1].id;
    std::fs::remove_file(pack_path(&newer, 1)).expect("removed");
    let error = assemble(&newer.form.document, &[&newer.dir], &scratch.join("out"), None);
    let error = error.expect_err("incomplete");
    assert!(error.is_tampering());
    assert!(error.to_string().contains(&pack.to_string()), "{error}");
    let source = DirectorySource::open([newer.dir.as_path()]).expect("the packs");
    let never = CancellationToken::new();
    let checked = check_form(&newer.form.document, &source, None, &never).expect("looked");
    assert_eq!(checked.problems.len(), 1);
    assert!(checked.problems[0].to_string().contains("missing"));
}
