//! Snapshots as people see them.

use std::fmt;

use contract::snapshot::{Snapshot, SnapshotAnswer, SnapshotState};
use serde::Serialize;

use crate::byte_size::ByteSize;
use crate::output::{properties, shown_time, table};

/// One snapshot and its files, to be shown.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct ShownSnapshot(pub(super) SnapshotAnswer);

/// Snapshots, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownSnapshots {
    pub(super) snapshots: Vec<Snapshot>,
}

impl fmt::Display for ShownSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SnapshotAnswer { snapshot, artifacts } = &self.0;
        let about = properties([
            ("Snapshot", Some(snapshot.id.to_string())),
            ("Machine", Some(snapshot.machine_id.to_string())),
            ("State", Some(shown_state(snapshot.state))),
            ("Taken", Some(shown_time(snapshot.created_at))),
            ("Paused", Some(format!("{} ms", snapshot.pause_ms))),
            ("Frozen", Some(format!("{} ms", snapshot.frozen_ms))),
            ("Memory", Some(ByteSize::from_mib(snapshot.memory_mib).to_string())),
            ("Size", Some(ByteSize::from_bytes(snapshot.size_bytes).to_string())),
            ("On this host", Some(ByteSize::from_bytes(snapshot.allocated_bytes).to_string())),
            ("Parent", snapshot.parent.as_ref().map(ToString::to_string)),
        ]);
        writeln!(formatter, "{about}\n")?;
        let mut files = table(["FILE", "SIZE", "SHA-256"]);
        for artifact in artifacts {
            let digest = artifact.sha256_hex.as_ref();
            files.add_row([
                artifact.id.file_name(),
                ByteSize::from_bytes(artifact.size_bytes).to_string(),
                digest.map_or_else(|| "not known yet".to_owned(), ToString::to_string),
            ]);
        }
        files.fmt(formatter)
    }
}

impl fmt::Display for ShownSnapshots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.snapshots.is_empty() {
            return formatter.write_str("no snapshots");
        }
        let mut table = table(["SNAPSHOT", "MACHINE", "STATE", "MEMORY", "ON THIS HOST", "TAKEN"]);
        for snapshot in &self.snapshots {
            table.add_row([
                snapshot.id.to_string(),
                snapshot.machine_id.to_string(),
                shown_state(snapshot.state),
                ByteSize::from_mib(snapshot.memory_mib).to_string(),
                ByteSize::from_bytes(snapshot.allocated_bytes).to_string(),
                shown_time(snapshot.created_at),
            ]);
        }
        table.fmt(formatter)
    }
}

fn shown_state(state: SnapshotState) -> String {
    match state {
        SnapshotState::Complete => "complete",
        SnapshotState::Quarantined => "quarantined",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_is_shown_with_its_files_and_answered_as_the_daemon_does() {
        let answer = json!({
            "snapshot": {
                "id": "s.1", "machine_id": "box", "created_at": "2026-11-24T23:17:00Z", "pause_ms": 9, "memory_mib": 512,
            },
            "artifacts": [{"id": "memory", "size_bytes": 1 << 29}],
        });
        let shown = ShownSnapshot(serde_json::from_value(answer).unwrap());
        let text = shown.to_string();
        for word in ["s.1", "box", "complete", "9 ms", "memory.bin", "512 MiB", "not known yet"] {
            assert!(text.contains(word), "{word} in {text}");
        }
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["snapshot"]["id"], "s.1");
        assert_eq!(json["artifacts"][0]["name"], "memory.bin");
    }
}
