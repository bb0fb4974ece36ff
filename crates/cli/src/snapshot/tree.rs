//! `computer snapshot tree`: which snapshot came of which.

use std::collections::HashMap;
use std::fmt;

use contract::client::Client;
use contract::id::SnapshotId;
use contract::snapshot::Snapshot;
use serde::Serialize;

use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::output::shown_time;

/// All snapshots, each beneath the one that its machine was restored from.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotTree {
    snapshots: Vec<Snapshot>,
}

/// Lists all snapshots, to be shown as a tree.
pub(super) async fn tree(client: &Client) -> Result<SnapshotTree, CliError> {
    Ok(SnapshotTree { snapshots: client.list_snapshots().await? })
}

impl SnapshotTree {
    /// Each with its depth, after its parent and before that one's next child. One whose parent is gone stands at the left.
    fn places(&self) -> Vec<(usize, &Snapshot)> {
        let by_id: HashMap<&SnapshotId, &Snapshot> =
            self.snapshots.iter().map(|snapshot| (&snapshot.id, snapshot)).collect();
        let mut beneath: HashMap<Option<&SnapshotId>, Vec<&Snapshot>> = HashMap::new();
        for snapshot in &self.snapshots {
            let parent = snapshot.parent.as_ref().filter(|id| by_id.contains_key(id));
            beneath.entry(parent).or_default().push(snapshot);
        }
        let mut take = |parent, depth: usize| {
            let children = beneath.remove(&parent).unwrap_or_default();
            children.into_iter().rev().map(move |child| (depth, child)).collect::<Vec<_>>()
        };
        let mut open = take(None, 0);
        let mut places = Vec::new();
        while let Some((depth, snapshot)) = open.pop() {
            open.extend(take(Some(&snapshot.id), depth + 1));
            places.push((depth, snapshot));
        }
        places
    }
}

impl fmt::Display for SnapshotTree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.snapshots.is_empty() {
            return formatter.write_str("no snapshots");
        }
        for (depth, snapshot) in self.places() {
            let indent = "  ".repeat(depth);
            let size = ByteSize::from_bytes(snapshot.allocated_bytes);
            let taken = shown_time(snapshot.created_at);
            let Snapshot { id, machine_id, .. } = snapshot;
            writeln!(formatter, "{indent}{id}  of {machine_id}, {size}, {taken}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot(id: &str, parent: Option<&str>) -> Snapshot {
        serde_json::from_value(json!({
            "id": id, "machine_id": "box", "created_at": "2026-11-24T23:17:00Z", "parent": parent,
        }))
        .unwrap()
    }

    #[test]
    fn each_stands_beneath_its_parent_and_orphans_stand_at_the_left() {
        let tree = SnapshotTree {
            snapshots: vec![
                snapshot("a", None),
                snapshot("orphan", Some("deleted")),
                snapshot("b", Some("a")),
                snapshot("c", Some("b")),
                snapshot("d", Some("a")),
            ],
        };
        let places: Vec<_> = tree
            .places()
            .into_iter()
            .map(|(depth, snapshot)| (depth, snapshot.id.as_str()))
            .collect();
        assert_eq!(places, [(0, "a"), (1, "b"), (2, "c"), (1, "d"), (0, "orphan")]);
        assert!(tree.to_string().contains("\n    c  of box"), "{tree}");
    }
}
