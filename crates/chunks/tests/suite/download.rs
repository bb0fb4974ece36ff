//! Downloads verify every byte before the file has its name (promises P6 and P12), whatever the
//! store does.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use chunks::transfer::{Downloaded, Durability, Expected, ResponseProblem};
use chunks::{
    FileEntry, Sha256Digest, TransferClient, TransferError, TransferErrorKind, TransferLimits,
};

use crate::store::{self, Fault, Store};
use crate::support::{
    MIB, Scratch, allocated_bytes, chain, quick_limits, scratch, seal_one, sparse_file, until,
};

/// A sealed file with a hole in chunks 3 to 6, its object in a store, and a place to download to.
struct Case {
    _scratch: Scratch,
    store: Store,
    source: Utf8PathBuf,
    target: Utf8PathBuf,
    entry: FileEntry,
}

const SIZE: u64 = 10 * MIB + 123;
const DATA: [(u64, u64); 4] =
    [(0, 2 * MIB), (2 * MIB + 8192, 4096), (7 * MIB, 2 * MIB + 5), (SIZE - 100, 100)];

async fn case() -> Case {
    let scratch = scratch();
    let (source, target) = (scratch.join("memory.bin"), scratch.join("restored.bin"));
    sparse_file(&source, SIZE, &DATA);
    let entry = seal_one(&source);
    let store = store::start().await;
    store.put("memory", std::fs::read(&source).expect("read"));
    Case { _scratch: scratch, store, source, target, entry }
}

impl Case {
    fn whole(&self) -> Expected {
        let sha256 = Sha256Digest::of(&std::fs::read(&self.source).expect("read"));
        Expected::Whole { size_bytes: SIZE, sha256 }
    }

    async fn download_with(
        &self,
        expected: &Expected,
        limits: TransferLimits,
    ) -> Result<Downloaded, TransferError> {
        let client = TransferClient::new(limits).expect("a client");
        let url = self.store.url("memory");
        client.download(&url, expected, &self.target, Durability::Synced).await
    }

    async fn download(&self) -> Result<Downloaded, TransferError> {
        self.download_with(&Expected::Chunks(self.entry.clone()), quick_limits()).await
    }

    async fn refused(&self, fault: Fault) -> TransferError {
        self.store.fail("memory", [fault]);
        let error = self.download().await.expect_err("refused");
        assert!(!self.target.exists(), "nothing unverified has the final name");
        error
    }

    fn assert_exact(&self) {
        let bytes = std::fs::read(&self.source).expect("read");
        assert!(std::fs::read(&self.target).expect("read") == bytes);
        let (source, target) = (allocated_bytes(&self.source), allocated_bytes(&self.target));
        // ext4 may keep one block of its own for a file that once had many extents.
        assert!(target <= source + 4096, "{target} bytes allocated for {source}");
        assert!(!self.part().exists());
    }

    fn part(&self) -> Utf8PathBuf {
        format!("{}.part", self.target).into()
    }
}

fn problem(error: &TransferError) -> &ResponseProblem {
    match error {
        TransferError::Response { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_exact_and_holes_are_neither_fetched_nor_written_promise_p6() {
    let case = case().await;

    let done = case.download().await.expect("downloaded");

    case.assert_exact();
    assert_eq!(done.fetched_bytes, case.entry.data_bytes());
    assert_eq!((done.size_bytes, done.reused_bytes), (SIZE, 0));
    let mut ranges: Vec<_> = case.store.seen().into_iter().filter_map(|seen| seen.range).collect();
    ranges.sort();
    let expected = [
        format!("bytes=0-{}", 2 * MIB - 1),
        format!("bytes={}-{}", 2 * MIB, 3 * MIB - 1),
        format!("bytes={}-{}", 7 * MIB, 9 * MIB - 1),
        format!("bytes={}-{}", 9 * MIB, SIZE - 1),
    ];
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(ranges, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_file_is_as_exact_as_a_synced_one_promise_p6() {
    let case = case().await;
    let client = TransferClient::new(quick_limits()).expect("a client");
    let (url, expected) = (case.store.url("memory"), Expected::Chunks(case.entry.clone()));
    let done = client.download(&url, &expected, &case.target, Durability::Transient).await;
    done.expect("downloaded");
    case.assert_exact();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_zeros_needs_no_request() {
    let mut case = case().await;
    let zeros = case.source.with_file_name("zeros");
    sparse_file(&zeros, 100 * MIB, &[]);
    case.entry = seal_one(&zeros);

    case.download().await.expect("made");

    assert_eq!(case.store.seen(), []);
    assert_eq!(case.target.metadata().expect("metadata").len(), 100 * MIB);
    assert_eq!(allocated_bytes(&case.target), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_failures_are_tried_again_promise_p12() {
    let case = case().await;
    let wait = Some(("retry-after", "0".to_owned()));
    case.store.fail("memory", [Fault::Status(503, None), Fault::Status(429, wait)]);
    case.download().await.expect("downloaded");
    case.assert_exact();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_goes_on_after_its_last_whole_chunk_promise_p12() {
    let case = case().await;
    let limits = TransferLimits { parallel_requests: 1, ..quick_limits() };
    // More cuts than attempts: each one brings a chunk further, so none is the last.
    case.store.fail("memory", [Fault::Cut(1_500_000), Fault::Cut(1_500_000), Fault::Cut(10)]);

    let expected = Expected::Chunks(case.entry.clone());
    case.download_with(&expected, limits).await.expect("downloaded");

    case.assert_exact();
    let ranges: Vec<_> = case.store.seen().into_iter().filter_map(|seen| seen.range).collect();
    assert!(ranges[1].starts_with("bytes=1048576-"), "{ranges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_range_than_asked_for_is_refused_promise_p12() {
    let error = case().await.refused(Fault::ShiftRange).await;
    assert!(matches!(problem(&error), ResponseProblem::WrongRange { .. }), "{error:?}");
    assert_eq!(error.kind(), TransferErrorKind::Upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_object_is_refused_when_a_later_part_was_asked_for_promise_p12() {
    let case = case().await;
    case.store.fail("memory", vec![Fault::IgnoreRange; 9]);
    let error = case.download().await.expect_err("refused");
    assert_eq!(problem(&error), &ResponseProblem::RangeIgnored);
    assert!(!case.target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_object_will_do_for_a_range_at_its_start() {
    let case = case().await;
    case.store.fail("memory", [Fault::IgnoreRange]);
    let one_range = TransferLimits { range_bytes: 64 * MIB, ..quick_limits() };
    case.download_with(&case.whole(), one_range).await.expect("one range");
    case.assert_exact();
    std::fs::remove_file(&case.target).expect("removed");

    // One request at a time, so that the first range meets the fault.
    case.store.fail("memory", [Fault::IgnoreRange]);
    let one_by_one = TransferLimits { parallel_requests: 1, ..quick_limits() };
    let expected = Expected::Chunks(case.entry.clone());
    case.download_with(&expected, one_by_one).await.expect("the start of the whole");
    case.assert_exact();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_body_and_an_object_of_another_size_are_refused_promise_p12() {
    let case = case().await;
    let error = case.refused(Fault::Longer(1)).await;
    assert!(matches!(problem(&error), ResponseProblem::TooLong { .. }), "{error:?}");

    let mut longer = std::fs::read(&case.source).expect("read");
    longer.push(0);
    case.store.put("memory", longer);
    std::fs::remove_file(case.part()).expect("removed");
    let error = case.download().await.expect_err("refused");
    let expected = ResponseProblem::WrongSize { expected_bytes: SIZE, found_bytes: SIZE + 1 };
    assert_eq!(problem(&error), &expected);
    assert!(!case.target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_refused_and_not_one_byte_of_its_chunk_is_kept_promise_p6() {
    let case = case().await;
    let one_by_one = TransferLimits { parallel_requests: 1, ..quick_limits() };
    case.store.fail("memory", [Fault::FlipBit]);
    let expected = Expected::Chunks(case.entry.clone());

    let error = case.download_with(&expected, one_by_one).await.expect_err("corrupt");

    let TransferError::CorruptChunk { offset_bytes, .. } = error else { panic!("{error:?}") };
    assert_eq!(offset_bytes, MIB);
    assert!(!case.target.exists());
    let scratch = std::fs::read(case.part()).expect("read");
    assert!(scratch[MIB as usize..2 * MIB as usize].iter().all(|byte| *byte == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_and_says_why_without_the_signature_promise_p11() {
    let case = case().await;
    case.store.fail("memory", vec![Fault::Status(403, None); 9]);
    let error = case.download().await.expect_err("refused");
    let text = chain(&error);
    assert!(text.contains("403") && text.contains("Refused: as told"), "{text}");
    assert!(!text.contains("5ec7e7"), "{text}");
    assert!(case.store.requests("memory") <= 4, "each range asks once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_store_ends_at_the_deadline_promise_p12() {
    let case = case().await;
    case.store.fail("memory", vec![Fault::Silence; 99]);
    let short = Duration::from_millis(200);
    let begun = Instant::now();

    let limits = TransferLimits { request_timeout: short, ..quick_limits() };
    let error = case.download_with(&case.whole(), limits).await.expect_err("silent");
    assert!(matches!(error, TransferError::GaveUp { .. }), "{error:?}");

    let limits = TransferLimits { total_timeout: short, ..quick_limits() };
    let error = case.download_with(&case.whole(), limits).await.expect_err("silent");
    assert!(matches!(error, TransferError::Deadline { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!case.target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_download_lets_go_and_the_next_one_goes_on() {
    let case = Arc::new(case().await);
    case.store.fail("memory", vec![Fault::Silence; 4]);
    let task = tokio::spawn({
        let case = case.clone();
        async move { case.download().await }
    });
    until("it has begun", || case.part().exists()).await;
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
    case.store.heal("memory");

    case.download().await.expect("downloaded");

    case.assert_exact();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_download_goes_on_with_what_still_hashes_right_promise_p12() {
    let case = case().await;
    let bytes = std::fs::read(&case.source).expect("read");
    let part = std::fs::File::create_new(case.part()).expect("new");
    part.set_len(SIZE + 5).expect("size");
    part.write_all_at(&bytes[..MIB as usize], 0).expect("a good chunk");
    part.write_all_at(&bytes[..MIB as usize], MIB).expect("a wrong chunk");
    part.write_all_at(b"rubbish", 4 * MIB + 9).expect("rubbish in a hole");
    part.write_all_at(b"rubbish", SIZE - 50).expect("half a chunk");
    drop(part);

    let done = case.download().await.expect("downloaded");

    case.assert_exact();
    assert_eq!(done.reused_bytes, MIB);
    assert_eq!(done.fetched_bytes, case.entry.data_bytes() - MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_object_is_verified_by_its_sha256_promise_p6() {
    let case = case().await;
    std::fs::write(case.part(), "left by a crash").expect("written");
    let done = case.download_with(&case.whole(), quick_limits()).await.expect("downloaded");
    assert_eq!(done.fetched_bytes, SIZE);
    case.assert_exact();
    std::fs::remove_file(&case.target).expect("removed");

    case.store.fail("memory", [Fault::FlipBit]);
    let error = case.download_with(&case.whole(), quick_limits()).await.expect_err("corrupt");
    assert!(matches!(error, TransferError::CorruptArtifact { .. }), "{error:?}");
    assert!(!case.target.exists() && !case.part().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_exists_is_left_alone_promise_p2() {
    let case = case().await;
    std::fs::write(&case.target, "somebody else's").expect("written");
    let error = case.download().await.expect_err("refused");
    assert_eq!(error.kind(), TransferErrorKind::Local);
    assert_eq!(std::fs::read(&case.target).expect("read"), b"somebody else's");
    assert_eq!(case.store.seen(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_downloads_to_one_place_do_not_mix() {
    let case = case().await;
    let (first, second) = tokio::join!(case.download(), case.download());
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    case.assert_exact();
}
