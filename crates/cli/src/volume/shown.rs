//! Volumes as people see them.

use std::fmt;

use contract::volume::{Volume, VolumeKind};
use serde::Serialize;

use crate::byte_size::ByteSize;
use crate::output::{properties, shown_time, table};

/// One volume, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownVolume {
    pub(super) volume: Volume,
}

/// Volumes, to be shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownVolumes {
    pub(super) volumes: Vec<Volume>,
}

fn kind(volume: &Volume) -> String {
    match (volume.kind, volume.outlives_machine) {
        (VolumeKind::System, _) => "system",
        (VolumeKind::User, true) => "user",
        (VolumeKind::User, false) => "user, goes with its machine",
    }
    .to_owned()
}

impl fmt::Display for ShownVolume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = &self.volume;
        properties([
            ("Volume", Some(volume.id.to_string())),
            ("Kind", Some(kind(volume))),
            ("Size", Some(ByteSize::from_bytes(volume.size_bytes).to_string())),
            ("Machine", volume.attached_machine_id.as_ref().map(ToString::to_string)),
            ("Created", Some(shown_time(volume.created_at))),
        ])
        .fmt(formatter)
    }
}

impl fmt::Display for ShownVolumes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.volumes.is_empty() {
            return formatter.write_str("no volumes: make one with `computer volume create`");
        }
        let mut table = table(["VOLUME", "KIND", "SIZE", "MACHINE", "CREATED"]);
        for volume in &self.volumes {
            let machine = volume.attached_machine_id.as_ref();
            table.add_row([
                volume.id.to_string(),
                kind(volume),
                ByteSize::from_bytes(volume.size_bytes).to_string(),
                machine.map(ToString::to_string).unwrap_or_default(),
                shown_time(volume.created_at),
            ]);
        }
        table.fmt(formatter)
    }
}
