//! Fetching manifests and artifacts in one stream.

use camino::Utf8PathBuf;
use chunks::transfer::{Fetched, ResponseProblem};
use chunks::{Sha256Digest, TransferClient, TransferError};

use crate::store::{self, Fault, Store};
use crate::support::{MIB, Scratch, allocated_bytes, chain, noise, quick_limits, scratch};

struct Case {
    scratch: Scratch,
    store: Store,
    client: TransferClient,
    target: Utf8PathBuf,
    bytes: Vec<u8>,
}

/// A root image: noise, a hole of 4 MiB, noise, zeros at the end.
async fn case() -> Case {
    let scratch = scratch();
    let mut bytes = noise(MIB + 10, 1);
    bytes.resize(5 * MIB as usize, 0);
    bytes.extend(noise(4096, 2));
    bytes.resize(7 * MIB as usize + 3, 0);
    let store = store::start().await;
    store.put("root.img", bytes.clone());
    let client = TransferClient::new(quick_limits()).expect("a client");
    let target = scratch.join("artifact");
    Case { scratch, store, client, target, bytes }
}

impl Case {
    async fn fetch(&self, expected: Option<Sha256Digest>) -> Result<Fetched, TransferError> {
        let url = self.store.url("root.img");
        self.client.fetch_to_file(&url, &self.target, 64 * MIB, expected).await
    }

    fn assert_exact(&self, fetched: Fetched) {
        let sha256 = Sha256Digest::of(&self.bytes);
        assert_eq!(fetched, Fetched { sha256, size_bytes: self.bytes.len() as u64 });
        assert!(std::fs::read(&self.target).expect("read") == self.bytes);
        assert!(allocated_bytes(&self.target) < 2 * MIB, "zeros are holes");
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.scratch.path.read_dir().expect("listed").count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_fetched_exactly_sparsely_and_with_its_digest() {
    let case = case().await;
    let fetched = case.fetch(None).await.expect("fetched");
    case.assert_exact(fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_or_unavailable_answer_is_fetched_again_from_the_start_promise_p12() {
    let case = case().await;
    case.store.fail("root.img", [Fault::Status(502, None), Fault::Cut(2_000_000)]);
    let fetched = case.fetch(Some(Sha256Digest::of(&case.bytes))).await.expect("fetched");
    case.assert_exact(fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_artifact_than_expected_is_removed_promise_p6() {
    let case = case().await;
    let error = case.fetch(Some(Sha256Digest::of(b"another"))).await.expect_err("refused");
    assert!(matches!(error, TransferError::CorruptArtifact { .. }), "{error:?}");
    case.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_over_its_limit_is_refused_announced_or_not() {
    let case = case().await;
    let url = case.store.url("root.img");
    for fault in [None, Some(Fault::Longer(5))] {
        case.store.fail("root.img", fault);
        let limit_bytes = case.bytes.len() as u64 - 1;
        let outcome = case.client.fetch_to_file(&url, &case.target, limit_bytes, None).await;
        let error = outcome.expect_err("too long");
        let problem = ResponseProblem::TooLong { limit_bytes };
        assert!(
            matches!(&error, TransferError::Response { problem: found, .. } if *found == problem)
        );
        case.assert_nothing_left();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_so_far_and_no_further() {
    let case = case().await;
    case.store.put("moved", case.bytes.clone());
    case.store.fail("root.img", [Fault::Redirect("/moved?X-Amz-Signature=5ec7e7".to_owned())]);
    let fetched = case.fetch(None).await.expect("fetched");
    case.assert_exact(fetched);
    std::fs::remove_file(&case.target).expect("removed");

    for location in ["/root.img", "file:///etc/passwd", "not a url://"] {
        case.store.fail("root.img", vec![Fault::Redirect(location.to_owned()); 6]);
        let error = case.fetch(None).await.expect_err("no end");
        assert!(!chain(&error).contains("5ec7e7"), "{}", chain(&error));
        case.assert_nothing_left();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_answered_only_if_it_is_the_one_expected_promise_p6() {
    let case = case().await;
    case.store.put("manifest", b"a manifest".to_vec());
    let (url, sha256) = (case.store.url("manifest"), Sha256Digest::of(b"a manifest"));

    case.store.fail("manifest", [Fault::Status(500, None), Fault::Cut(3)]);
    let bytes = case.client.fetch_small(&url, 100, sha256).await.expect("fetched");
    assert_eq!(bytes, b"a manifest");
    case.store.fail("manifest", [Fault::FlipBit]);
    let error = case.client.fetch_small(&url, 100, sha256).await.expect_err("corrupt");
    assert!(matches!(error, TransferError::CorruptArtifact { .. }), "{error:?}");
    let error = case.client.fetch_small(&url, 9, sha256).await.expect_err("too long");
    assert!(matches!(error, TransferError::Response { .. }), "{error:?}");
    let error = case.client.fetch_small(&case.store.url("absent"), 9, sha256).await;
    assert!(matches!(error, Err(TransferError::Refused { status: 404, .. })), "{error:?}");
}
