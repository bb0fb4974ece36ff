//! The identifiers in a path. None needs escaping, since identifiers are checked (promise P1).

use serde::de::DeserializeOwned;
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::artifact::ArtifactId;
use crate::id::{
    ExecSessionId, MachineId, MountId, OperationId, PublishedPortId, SnapshotId, VolumeId,
};

/// One identifier in a path, described.
pub struct PathParameter {
    /// Its name in the template.
    pub name: &'static str,
    /// What it looks like.
    pub schema: RefOr<Schema>,
}

/// The identifiers of one path, in order.
pub trait PathParameters: DeserializeOwned {
    /// The identifiers as text.
    fn values(&self) -> Vec<String>;

    /// Describes them.
    fn describe() -> Vec<PathParameter>;
}

/// A path is the template with its identifiers filled in.
#[must_use]
pub fn fill(template: &str, parameters: &impl PathParameters) -> String {
    let mut values = parameters.values().into_iter();
    let parts = template.split('/').map(|part| {
        if part.starts_with('{') {
            values.next().expect(
                "a path type has as many identifiers as its template, see the test of the table",
            )
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

impl PathParameters for () {
    fn values(&self) -> Vec<String> {
        Vec::new()
    }

    fn describe() -> Vec<PathParameter> {
        Vec::new()
    }
}

/// An identifier that paths hold.
trait InPath: PartialSchema {
    const NAME: &str;

    fn parameter() -> PathParameter {
        PathParameter { name: Self::NAME, schema: Self::schema() }
    }
}

impl InPath for MachineId {
    const NAME: &str = "machine_id";
}

impl InPath for SnapshotId {
    const NAME: &str = "snapshot_id";
}

impl InPath for VolumeId {
    const NAME: &str = "volume_id";
}

impl InPath for ArtifactId {
    const NAME: &str = "artifact_id";
}

impl InPath for PublishedPortId {
    const NAME: &str = "port_id";
}

impl InPath for MountId {
    const NAME: &str = "mount_id";
}

impl InPath for ExecSessionId {
    const NAME: &str = "session_id";
}

impl InPath for OperationId {
    const NAME: &str = "operation_id";
}

macro_rules! single {
    ($($id:ty),+) => {$(
        impl PathParameters for $id {
            fn values(&self) -> Vec<String> {
                vec![self.to_string()]
            }

            fn describe() -> Vec<PathParameter> {
                vec![<$id>::parameter()]
            }
        }
    )+};
}

single!(MachineId, SnapshotId, VolumeId, OperationId);

impl<Outer, Inner> PathParameters for (Outer, Inner)
where
    Outer: InPath + ToString + DeserializeOwned,
    Inner: InPath + ToString + DeserializeOwned,
{
    fn values(&self) -> Vec<String> {
        vec![self.0.to_string(), self.1.to_string()]
    }

    fn describe() -> Vec<PathParameter> {
        vec![Outer::parameter(), Inner::parameter()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_template_with_the_identifiers_filled_in() {
        let machine: MachineId = "box".parse().unwrap();
        let mount: MountId = "data".parse().unwrap();
        assert_eq!(fill("/machines", &()), "/machines");
        assert_eq!(fill("/machines/{machine_id}/start", &machine), "/machines/box/start");
        assert_eq!(
            fill("/machines/{machine_id}/mounts/{mount_id}", &(machine, mount)),
            "/machines/box/mounts/data"
        );
    }
}
