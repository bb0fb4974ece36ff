//! The chunked form: exact, each chunk once, differences small, sealed only for its tenant.

use std::fs::File;
use std::os::unix::fs::FileExt;

use chunks::chunked::{
    ChunkedError, DirectorySource, FormDocument, FormReader, KeyError, TenantKey, check_form,
    check_set,
};
use tokio_util::sync::CancellationToken;

use crate::support::{MIB, allocated_bytes, assemble, chain, cut, noise, scratch, sparse_file};

const KIB: u64 = 1024;

#[test]
fn promise_p5_a_form_gives_every_byte_and_every_hole_again() {
    let scratch = scratch();
    let file = scratch.join("memory.bin");
    sparse_file(&file, 9 * MIB + 5000, &[(0, 4096), (3 * MIB + 4096, 2 * MIB), (9 * MIB, 5000)]);
    let form = cut(&file, &scratch.path, "set", &[], None);

    let target = scratch.join("again");
    let again = assemble(&form.form.document, &[&form.dir], &target, None).expect("assembled");

    assert!(again == std::fs::read(&file).expect("the file"));
    assert!(allocated_bytes(&target) <= 3 * MIB, "{} bytes", allocated_bytes(&target));
    let text = std::fs::read(form.dir.join("chunked.json")).expect("the document");
    let decoded = FormDocument::decode(&text, MIB).expect("decoded");
    assert_eq!(decoded, form.form.document);
    let source = DirectorySource::default();
    let reader = FormReader::new(&decoded, &source, None).expect("a reader");
    assert_eq!(reader.manifest().expect("the manifest"), b"a manifest");
}

#[test]
fn a_chunk_is_stored_once_and_zeros_not_at_all() {
    let scratch = scratch();
    let file = scratch.join("memory.bin");
    let mut bytes = noise(128 * KIB, 1).repeat(16);
    bytes.extend(vec![0; MIB as usize]);
    std::fs::write(&file, &bytes).expect("a file");
    let form = cut(&file, &scratch.path, "set", &[], None);
    assert_eq!(form.form.totals.new_chunks, 1);
    assert!(form.form.totals.new_bytes < 130 * KIB);

    // The same again, with the first known: not a byte.
    let again = cut(&file, &scratch.path, "again", &[&form], None);
    assert_eq!((again.form.totals.new_chunks, again.form.totals.new_packs), (0, 0));
    assert_eq!(again.form.document.parents, ["set"]);
    let target = scratch.join("out");
    let read = assemble(&again.form.document, &[&form.dir], &target, None).expect("assembled");
    assert!(read == bytes);
}

#[test]
fn scattered_pages_cost_little_more_than_themselves_and_no_difference_follows_another() {
    let scratch = scratch();
    let file = scratch.join("memory.bin");
    std::fs::write(&file, noise(8 * MIB, 2)).expect("a file");
    let first = cut(&file, &scratch.path, "set-0", &[], None);
    let mut forms = vec![first];
    let mut random = fastrand::Rng::with_seed(3);
    for generation in 1..4_u64 {
        let open = File::options().write(true).open(&file).expect("the file");
        for page in 0..100_u64 {
            let at = random.u64(0..2048) * 4096;
            open.write_all_at(&noise(4096, generation * 1000 + page), at).expect("a write");
        }
        let parent = forms.last().expect("a form");
        let older: Vec<_> = std::iter::once(parent).chain(&forms[..forms.len() - 1]).collect();
        let form = cut(&file, &scratch.path, &format!("set-{generation}"), &older, None);
        let sent = form.form.totals.new_bytes;
        assert!(sent < 100 * 4096 * 4, "generation {generation}: {sent} bytes for 400 KiB");
        forms.push(form);
    }
    let last = forms.last().expect("a form");
    assert!(last.form.totals.differences > 0);
    let chunks = &last.form.document.chunks.0;
    let bases = chunks.iter().filter_map(|place| place.base);
    assert!(bases.map(|base| chunks[base as usize]).all(|base| base.base.is_none()));
    let dirs: Vec<_> = forms.iter().map(|form| form.dir.as_path()).collect();
    let read = assemble(&last.form.document, &dirs, &scratch.join("out"), None);
    assert!(read.expect("assembled") == std::fs::read(&file).expect("the file"));
}

#[test]
fn a_sealed_form_opens_with_its_tenants_key_alone_and_shares_with_nobody_else() {
    let scratch = scratch();
    let file = scratch.join("memory.bin");
    let text = b"a line that a guest wrote into its memory ".repeat(10_000);
    std::fs::write(&file, &text).expect("a file");
    let (key, other) =
        (TenantKey::new(&[1; 32]).expect("a key"), TenantKey::new(&[2; 32]).expect("a key"));
    let first = cut(&file, &scratch.path, "sealed", &[], Some(&key));
    let child = cut(&file, &scratch.path, "child", &[&first], Some(&key));
    let plain = cut(&file, &scratch.path, "plain", &[], None);
    assert_eq!(child.form.totals.new_chunks, 0, "a tenant shares with itself");
    let names = |form: &crate::support::Form| -> Vec<_> {
        form.form.document.chunks.0.iter().map(|place| place.digest).collect()
    };
    assert!(names(&first).iter().all(|name| !names(&plain).contains(name)));

    let read = |document, name: &str, key| {
        assemble(document, &[&first.dir, &child.dir], &scratch.join(name), key)
    };
    let right = read(&child.form.document, "right", Some(&key)).expect("the tenant reads it");
    assert!(right == text);
    for (name, key, expected) in
        [("none", None, KeyError::Missing), ("other", Some(&other), KeyError::Wrong)]
    {
        let error = read(&first.form.document, name, key).expect_err("no key, nothing");
        assert!(matches!(error, ChunkedError::Key(found) if found == expected), "{error}");
    }
    for entry in first.dir.read_dir_utf8().expect("the set") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("its bytes");
        for secret in [&b"a guest wrote"[..], b"a manifest"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }
}

#[test]
fn a_look_at_whole_sets_and_forms_finds_nothing_wrong() {
    let scratch = scratch();
    let file = scratch.join("memory.bin");
    std::fs::write(&file, noise(3 * MIB, 4)).expect("a file");
    let form = cut(&file, &scratch.path, "set", &[], None);
    let never = CancellationToken::new();

    let set = check_set(&form.dir, &never).expect("looked");
    assert_eq!(set.packs, form.form.totals.new_packs);
    assert_eq!(set.bytes, form.form.totals.new_bytes);
    assert!(set.problems.is_empty(), "{:?}", set.problems);
    let source = DirectorySource::open([form.dir.as_path()]).expect("the packs");
    let checked = check_form(&form.form.document, &source, None, &never).expect("looked");
    assert_eq!(checked.chunks, 24);
    assert!(checked.problems.is_empty(), "{:?}", checked.problems);
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    let scratch = scratch();
    let file = scratch.join("memory.bin");
    std::fs::write(&file, noise(MIB, 5)).expect("a file");
    let form = cut(&file, &scratch.path, "set", &[], None);
    let text = std::fs::read_to_string(form.dir.join("chunked.json")).expect("the document");
    let pack = form.form.document.packs[0].id.to_string();
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("\"version\":1", "\"version\":1,\"more\":1"),
        ("\"chunk_bytes\":131072", "\"chunk_bytes\":4095"),
        ("\"chunk_bytes\":131072", "\"chunk_bytes\":4294963200"),
        ("\"first_chunk\":0", "\"first_chunk\":1"),
        ("\"size_bytes\":1048576", "\"size_bytes\":1"),
        ("\"parents\":[]", "\"parents\":[],\"keys\":[\"a\"]"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = FormDocument::decode(text.replace(from, to).as_bytes(), MIB);
        error.expect_err(to);
    }
    let without = text.replace(&pack, &"0".repeat(64));
    FormDocument::decode(without.as_bytes(), MIB).expect("another name is still a name");
    let error = FormDocument::decode(text.as_bytes(), 10).expect_err("too long");
    assert!(chain(&error).contains("10 are allowed"));
}
