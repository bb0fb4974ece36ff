use contract::artifact::ArtifactId;
use contract::machine::Phase as PublicPhase;
use engine::port::Fault;
use engine::record::{Operation, OperationError, SealedArtifact};
use engine::testing::{self, journal};

use super::*;

#[test]
fn a_started_machine_is_answered_as_starting_at_its_own_address() {
    let change = journal::a_start();
    let machine = started_machine(&change).unwrap();
    assert_eq!(machine.phase, PublicPhase::Starting);
    let address = testing::run("box").slot.runtime_address;
    assert_eq!(machine.runtime_host, Some(address.into()));
    assert_eq!(machine.system_volume_id.as_str(), "box-system");
    assert_eq!(machine.ports.iter().map(|port| port.port).collect::<Vec<_>>(), [2222]);
}

#[test]
fn a_stopped_machine_has_no_address() {
    let Change::MachineStarted { machine: record, .. } = journal::a_start() else { panic!() };
    let answer = serde_json::to_value(machine(&record)).unwrap();
    assert_eq!(answer["phase"], "stopped");
    assert_eq!(answer["runtime_host"], "");
    assert_eq!(answer["error"], "");
    assert_eq!(answer["user_volume_ids"], serde_json::json!([]));
}

#[test]
fn a_snapshot_is_answered_with_its_pauses_sizes_and_files() {
    let sealed =
        |artifact, sha256| SealedArtifact { artifact, size_bytes: 10, data_bytes: 4, sha256 };
    let sum = contract::Sha256Hex::from_bytes(&[1; 32]);
    let record = record::Snapshot {
        pause_us: Some(9_001),
        artifacts: vec![
            sealed(ArtifactId::Memory, None),
            sealed(ArtifactId::Manifest, Some(sum.clone())),
        ],
        ..journal::a_snapshot()
    };
    let answer = serde_json::to_value(snapshot_answer(&record)).unwrap();
    assert_eq!(answer["snapshot"]["pause_ms"], 10);
    assert_eq!(answer["snapshot"]["size_bytes"], 20);
    assert_eq!(answer["snapshot"]["allocated_bytes"], 8);
    assert_eq!(answer["artifacts"][0]["name"], "memory.bin");
    assert!(answer["artifacts"][0].get("sha256_hex").is_none(), "left out until it is known");
    assert_eq!(answer["artifacts"][1]["sha256_hex"], sum.as_str());
}

#[test]
fn parts_are_answered_by_artifact_in_the_order_of_the_request() {
    let part = |artifact, part_number| FinishedPart {
        artifact,
        upload_id: "u".into(),
        part_number,
        offset_bytes: 0,
        size_bytes: 1,
        etag: Some(format!("\"{part_number}\"")),
    };
    let parts =
        [part(ArtifactId::VmState, 1), part(ArtifactId::Memory, 1), part(ArtifactId::Memory, 2)];
    let answer = uploaded(&parts);
    let ids: Vec<_> = answer.artifacts.iter().map(|artifact| artifact.artifact_id).collect();
    assert_eq!(ids, [ArtifactId::VmState, ArtifactId::Memory]);
    assert_eq!(answer.artifacts[1].completed_parts[1].etag, "\"2\"");
}

#[test]
fn an_operation_says_the_status_that_was_answered() {
    let running = journal::an_operation();
    assert_eq!(operation(&running).status, None);
    let committed = Operation { state: OperationState::Committed, ..running.clone() };
    assert_eq!(operation(&committed).status, Some(201));
    let error = OperationError { fault: Fault::NoRoom, reason: "full".into() };
    let undone = Operation { state: OperationState::Undone, error: Some(error), ..running };
    assert_eq!(operation(&undone).status, Some(507));
    assert_eq!(operation(&undone).error.as_deref(), Some("full"));
}
