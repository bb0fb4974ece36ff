//! Uploads: coverage before the first byte, and only what is missing is sent.

use contract::ErrorCode;
use contract::artifact::ArtifactId;
use contract::operation::OperationKind;
use contract::upload::{ArtifactUpload, UploadPart, UploadSnapshotRequest};
use engine::claim::Claim;
use engine::plan::{Change, FinishedPart, Hold, Plan, Refusal, upload};
use engine::port::{UploadJob, UploadPart as SignedPart};
use engine::record::{SealedArtifact, Snapshot};
use engine::step::Step;

use super::facts::{Moment, snapshot, snapshot_id, this};

const SIZE: u64 = 100;

fn sealed() -> Snapshot {
    let artifacts = vec![SealedArtifact {
        artifact: ArtifactId::Memory,
        size_bytes: SIZE,
        data_bytes: SIZE,
        sha256: Some("ab".repeat(32).parse().unwrap()),
    }];
    Snapshot { artifacts, ..snapshot("saved") }
}

fn part((part_number, offset_bytes, size_bytes): (u32, u64, u64)) -> UploadPart {
    let upload_url = format!("https://store.test/?part={part_number}").parse().unwrap();
    UploadPart { part_number, offset_bytes, size_bytes, upload_url }
}

fn request(parts: &[(u32, u64, u64)]) -> UploadSnapshotRequest {
    UploadSnapshotRequest {
        artifacts: vec![ArtifactUpload {
            artifact_id: ArtifactId::Memory,
            object_key: "saved/memory".into(),
            upload_id: "u".into(),
            parts: parts.iter().copied().map(part).collect(),
        }],
    }
}

fn finished((part_number, offset_bytes, size_bytes): (u32, u64, u64)) -> FinishedPart {
    FinishedPart {
        artifact: ArtifactId::Memory,
        upload_id: "u".into(),
        part_number,
        offset_bytes,
        size_bytes,
        etag: None,
    }
}

fn known(part: (u32, u64, u64), etag: &str) -> FinishedPart {
    FinishedPart { etag: Some(etag.into()), ..finished(part) }
}

fn planned(parts: &[(u32, u64, u64)], known: &[FinishedPart]) -> Result<Plan, Refusal> {
    upload::plan(&sealed(), &request(parts), known, &Moment::empty().facts())
}

#[test]
fn promise_p12_an_upload_goes_on_with_the_parts_that_are_missing() {
    let sent = known((1, 0, 60), "one");
    let plan = planned(&[(2, 60, 40), (1, 0, 60)], std::slice::from_ref(&sent)).unwrap();
    let expected = Plan {
        operation: this(),
        kind: OperationKind::UploadSnapshot,
        resource_id: "saved".into(),
        claims: vec![Claim::read_snapshot(&snapshot_id("saved"))],
        hold: Hold::UntilClose,
        prepare: vec![Step::Upload {
            job: Box::new(UploadJob {
                artifact: ArtifactId::Memory,
                upload_id: "u".into(),
                path: "/root/snapshots/saved/memory.bin".into(),
                parts: vec![SignedPart {
                    part_number: 2,
                    offset_bytes: 60,
                    size_bytes: 40,
                    url: part((2, 60, 40)).upload_url,
                }],
            }),
        }],
        commit: Change::UploadFinished {
            snapshot: snapshot_id("saved"),
            parts: vec![sent, finished((2, 60, 40))],
        },
        finish: vec![],
    };
    assert_eq!(plan, expected);
}

#[test]
fn promise_p12_what_was_sent_whole_is_answered_without_sending_a_byte() {
    let sent = [known((1, 0, 60), "one"), known((2, 60, 40), "two")];
    let plan = planned(&[(1, 0, 60), (2, 60, 40)], &sent).unwrap();
    assert_eq!(plan.prepare, []);
}

#[test]
fn promise_p12_a_part_of_another_size_or_upload_is_sent_anew() {
    let other_size = known((1, 0, 50), "one");
    let other_upload = FinishedPart { upload_id: "v".into(), ..known((1, 0, 60), "one") };
    for stale in [other_size, other_upload] {
        let plan = planned(&[(1, 0, 60), (2, 60, 40)], &[stale]).unwrap();
        let Step::Upload { job } = &plan.prepare[0] else { panic!("an upload") };
        assert_eq!(job.parts.len(), 2);
    }
}

#[test]
fn promise_p12_gaps_overlaps_duplicates_and_wrong_sizes_are_refused_before_a_byte_is_sent() {
    let cases: [&[(u32, u64, u64)]; 9] = [
        &[],
        &[(1, 0, 60)],
        &[(1, 0, 60), (2, 61, 39)],
        &[(1, 0, 60), (2, 59, 41)],
        &[(1, 0, 60), (2, 60, 41)],
        &[(1, 0, 60), (1, 60, 40)],
        &[(0, 0, 60), (1, 60, 40)],
        &[(1, 0, 60), (2, 60, 0), (3, 60, 40)],
        &[(1, 0, u64::MAX), (2, u64::MAX, 2)],
    ];
    for parts in cases {
        let refusal = planned(parts, &[]).expect_err(&format!("{parts:?}"));
        assert_eq!(refusal.code, ErrorCode::Refused, "{parts:?}");
    }
}
