//! What the demo measured, as its last line tells it.

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// From the command to a ready guest.
    pub create_ms: u64,
    /// For how long the virtual CPUs stood still.
    pub snapshot_pause_ms: u64,
    /// For how long the guest's processes stood still.
    pub snapshot_frozen_ms: u64,
    /// From the command to a durable snapshot.
    pub snapshot_ms: u64,
    /// From the command to the last object, the wait for the digests included.
    pub upload_ms: u64,
    /// From each command to its ready guest; both ran at once.
    pub restore_ms: Vec<u64>,
    /// The counter at the instant of the snapshot.
    pub at_snapshot: u64,
    /// The counter of each restored machine when it was first looked at.
    pub restored: Vec<u64>,
}

impl Outcome {
    /// The last line of the demo.
    pub fn json(&self) -> String {
        serde_json::json!({
            "demo": "ok",
            "create_ms": self.create_ms,
            "snapshot_pause_ms": self.snapshot_pause_ms,
            "snapshot_frozen_ms": self.snapshot_frozen_ms,
            "snapshot_ms": self.snapshot_ms,
            "upload_ms": self.upload_ms,
            "restore_ms": self.restore_ms,
            "counter": { "at_snapshot": self.at_snapshot, "restored": self.restored },
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_the_fields_of_the_issue() {
        let outcome = Outcome {
            restore_ms: vec![1, 2],
            restored: vec![4, 5],
            at_snapshot: 3,
            ..Outcome::default()
        };
        let line: serde_json::Value = serde_json::from_str(&outcome.json()).unwrap();
        assert_eq!(line["demo"], "ok");
        assert_eq!(line["restore_ms"], serde_json::json!([1, 2]));
        assert_eq!(line["counter"], serde_json::json!({"at_snapshot": 3, "restored": [4, 5]}));
        for name in
            ["create_ms", "snapshot_pause_ms", "snapshot_frozen_ms", "snapshot_ms", "upload_ms"]
        {
            assert!(line[name].is_u64(), "{name}");
        }
    }
}
