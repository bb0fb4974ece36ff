//! Uploads finish or say why (promise P12), against a store that fails.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use chunks::transfer::{
    ArtifactUpload, FinishedPart, KeepPart, MissingParts, Part, PartRequest, ProgressError,
    UploadProgress, UploadedArtifact,
};
use chunks::{ArtifactId, TransferClient, TransferError, TransferErrorKind, TransferLimits};

use crate::store::{self, Fault, Store, etag};
use crate::support::{MIB, Scratch, chain, id, noise, quick_limits, scratch, until};

/// Remembers in memory what a daemon remembers in its store.
#[derive(Default)]
struct Memory {
    parts: Mutex<Vec<FinishedPart>>,
    is_full: bool,
}

impl KeepPart for Memory {
    async fn keep(&self, part: &FinishedPart) -> Result<(), ProgressError> {
        if self.is_full {
            return Err("no room to remember".into());
        }
        self.parts.lock().expect("no panic").push(part.clone());
        Ok(())
    }
}

impl UploadProgress for Memory {
    async fn recall(
        &self,
        artifact: &ArtifactId,
        upload_id: &str,
    ) -> Result<Vec<FinishedPart>, ProgressError> {
        let mut parts = self.parts.lock().expect("no panic").clone();
        parts.retain(|part| part.artifact == *artifact && part.upload_id == upload_id);
        Ok(parts)
    }
}

/// A file of three parts, 1 MiB and twice 2 MiB and a bit, and a store for it.
struct Case {
    _scratch: Scratch,
    store: Store,
    path: Utf8PathBuf,
    bytes: Vec<u8>,
    memory: Memory,
}

const PARTS: [(i64, u64, u64); 3] = [(3, 3 * MIB, 2 * MIB + 77), (1, 0, MIB), (2, MIB, 2 * MIB)];

async fn case() -> Case {
    let scratch = scratch();
    let path = scratch.join("memory.bin");
    let bytes = noise(5 * MIB + 77, 1);
    std::fs::write(&path, &bytes).expect("written");
    Case { _scratch: scratch, store: store::start().await, path, bytes, memory: Memory::default() }
}

impl Case {
    fn request(&self, upload_id: &str, parts: &[(i64, u64, u64)]) -> Vec<ArtifactUpload> {
        let part = |(part_number, offset, size): &(i64, u64, u64)| PartRequest {
            part_number: *part_number,
            offset_bytes: *offset as i64,
            size_bytes: *size as i64,
            url: self.store.url(&format!("part-{part_number}")),
        };
        vec![ArtifactUpload {
            artifact: id("memory"),
            upload_id: upload_id.to_owned(),
            path: self.path.clone(),
            parts: parts.iter().map(part).collect(),
        }]
    }

    async fn upload_with(
        &self,
        upload_id: &str,
        limits: TransferLimits,
    ) -> Result<Vec<UploadedArtifact>, TransferError> {
        let client = TransferClient::new(limits).expect("a client");
        client.upload(self.request(upload_id, &PARTS), &self.memory).await
    }

    async fn upload(&self) -> Result<Vec<UploadedArtifact>, TransferError> {
        self.upload_with("one", quick_limits()).await
    }

    fn assert_stored(&self, uploaded: &[UploadedArtifact]) {
        let (first, second) = ((MIB) as usize, (3 * MIB) as usize);
        let pieces = [&self.bytes[..first], &self.bytes[first..second], &self.bytes[second..]];
        let found: Vec<_> =
            uploaded[0].parts.iter().map(|part| (part.part_number, part.etag.clone())).collect();
        let expected: Vec<_> = (1..).zip(pieces.map(etag)).collect();
        assert_eq!(found, expected);
        for (number, piece) in (1..).zip(pieces) {
            assert!(self.store.stored(&format!("part-{number}")).expect("stored") == piece);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_arrives_and_tags_are_answered_in_part_order_promise_p12() {
    let case = case().await;
    let uploaded = case.upload().await.expect("uploaded");
    case.assert_stored(&uploaded);
    assert_eq!(case.store.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_run_on_a_task_of_its_own_and_ends_with_it() {
    let case = Arc::new(case().await);
    case.store.fail("part-1", [Fault::Silence]);
    let task = tokio::spawn({
        let case = case.clone();
        async move { case.upload().await }
    });
    until("the store has two parts", || case.memory.parts.lock().expect("no panic").len() == 2)
        .await;

    task.abort();

    assert!(task.await.expect_err("aborted").is_cancelled());
    let uploaded = case.upload().await.expect("uploaded");
    case.assert_stored(&uploaded);
    assert_eq!(case.store.requests("part-2"), 1, "sent before, and remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_failures_are_tried_again_promise_p12() {
    let case = case().await;
    let wait = Some(("retry-after", "0".to_owned()));
    case.store.fail("part-1", [Fault::Status(503, None), Fault::Status(500, None)]);
    case.store.fail("part-2", [Fault::Status(429, wait)]);
    case.store.fail("part-3", [Fault::Status(408, None)]);

    let uploaded = case.upload().await.expect("uploaded");

    case.assert_stored(&uploaded);
    assert_eq!(case.store.requests("part-1"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_keeps_failing_is_given_up_on_with_the_reason_promise_p12() {
    let case = case().await;
    case.store.fail("part-2", vec![Fault::Status(503, None); 9]);

    let error = case.upload().await.expect_err("refused");

    assert!(matches!(&error, TransferError::GaveUp { attempts: 3, .. }), "{error:?}");
    assert_eq!(error.kind(), TransferErrorKind::Upstream);
    assert!(chain(&error).contains("503"), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_signature_is_final_and_what_finished_is_kept_promise_p12() {
    let case = case().await;
    case.store.fail("part-2", vec![Fault::Status(403, None); 9]);

    let error = case.upload().await.expect_err("refused");

    assert!(matches!(&error, TransferError::Refused { status: 403, .. }), "{error:?}");
    assert_eq!(error.kind(), TransferErrorKind::Upstream);
    let text = chain(&error);
    assert!(text.contains("Refused: as told") && !text.contains("5ec7e7"), "{text}");
    let asked = case.store.requests("part-2");
    assert!(asked <= 2, "once, or once more to hear the reason: {asked}");
    case.store.heal("part-2");

    let before = case.store.seen().len();
    let uploaded = case.upload().await.expect("uploaded with a fresh URL");
    case.assert_stored(&uploaded);
    assert_eq!(case.store.seen().len() - before, 1, "only the missing part is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_checked_elsewhere_are_sent_and_kept_alone() {
    let case = case().await;
    let client = TransferClient::new(quick_limits()).expect("a client");
    let url = case.store.url("part-2");
    let part = Part { number: 2, offset_bytes: MIB, size_bytes: 2 * MIB, url };
    let missing = MissingParts {
        artifact: id("memory"),
        upload_id: "one".to_owned(),
        path: case.path.clone(),
        parts: vec![part],
    };

    let sent = client.send_parts(vec![missing.clone()], &case.memory).await.expect("sent");

    assert_eq!(sent[0].etag, etag(&case.bytes[MIB as usize..3 * MIB as usize]));
    assert_eq!(*case.memory.parts.lock().expect("no panic"), sent);
    let uploaded = case.upload().await.expect("the rest");
    case.assert_stored(&uploaded);
    assert_eq!(case.store.requests("part-2"), 1);

    std::fs::write(&case.path, "truncated").expect("written");
    let error = client.send_parts(vec![missing], &case.memory).await.expect_err("too short");
    assert_eq!(error.kind(), TransferErrorKind::Local);
    assert!(chain(&error).contains("shorter"), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_upload_id_starts_anew() {
    let case = case().await;
    case.upload().await.expect("uploaded");
    case.upload().await.expect("remembered");
    assert_eq!(case.store.seen().len(), 3);

    let uploaded = case.upload_with("two", quick_limits()).await.expect("uploaded");

    case.assert_stored(&uploaded);
    assert_eq!(case.store.seen().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_do_not_cover_the_file_send_no_byte_promise_p12() {
    let case = case().await;
    let client = TransferClient::new(quick_limits()).expect("a client");
    let mut uploads = case.request("one", &PARTS);
    uploads.extend(case.request("one", &PARTS[..2]));

    let error = client.upload(uploads, &case.memory).await.expect_err("refused");

    assert!(matches!(&error, TransferError::Coverage { .. }), "{error:?}");
    assert_eq!(error.kind(), TransferErrorKind::Invalid);
    assert_eq!(case.store.seen(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_part_without_a_tag_is_an_error_promise_p12() {
    let case = case().await;
    case.store.fail("part-3", [Fault::NoEtag]);
    let error = case.upload().await.expect_err("useless");
    assert!(chain(&error).contains("no ETag"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_ends_at_the_deadline_promise_p12() {
    let case = case().await;
    case.store.fail("part-1", vec![Fault::Silence; 9]);
    let short = Duration::from_millis(200);
    let begun = Instant::now();

    let limits = TransferLimits { request_timeout: short, ..quick_limits() };
    let error = case.upload_with("one", limits).await.expect_err("silent");
    assert!(chain(&error).contains("silent"), "{}", chain(&error));

    let limits = TransferLimits { total_timeout: short, ..quick_limits() };
    let error = case.upload_with("one", limits).await.expect_err("silent");
    assert!(matches!(error, TransferError::Deadline { .. }), "{error:?}");
    assert_eq!(error.kind(), TransferErrorKind::Deadline);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(case.memory.parts.lock().expect("no panic").len(), 2, "the others are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_that_cannot_be_kept_fails_the_upload() {
    let mut case = case().await;
    case.memory.is_full = true;
    let error = case.upload().await.expect_err("forgotten");
    assert!(matches!(error, TransferError::Progress(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_nobody_serves_is_named_without_its_signature_promise_p11() {
    let case = case().await;
    let client = TransferClient::new(quick_limits()).expect("a client");
    let mut uploads = case.request("one", &[(1, 0, 5 * MIB + 77)]);
    uploads[0].parts[0].url =
        "http://127.0.0.1:9/bucket/key?X-Amz-Signature=5ec7e7".parse().expect("a URL");

    let error = client.upload(uploads, &case.memory).await.expect_err("nobody there");

    let text = chain(&error);
    assert!(
        text.contains("http://127.0.0.1:9/bucket/key?...") && !text.contains("5ec7e7"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_one_empty_part() {
    let case = case().await;
    std::fs::write(&case.path, "").expect("emptied");
    let client = TransferClient::new(quick_limits()).expect("a client");
    let uploaded =
        client.upload(case.request("one", &[(1, 0, 0)]), &case.memory).await.expect("uploaded");
    assert_eq!(uploaded[0].parts[0].etag, etag(b""));
}
