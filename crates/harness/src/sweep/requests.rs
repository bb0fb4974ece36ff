//! The requests that a sweep asks for.

use contract::exec::ExecRequest;
use contract::fork::ForkRequest;
use contract::machine::{ArtifactRef, CreateMachineRequest, GuestProtocol, PortProtocol};
use contract::mount::{CreateMountRequest, MountConfig, MountKind};
use contract::published_port::CreatePublishedPortRequest;
use contract::restore::{RestoreSnapshotRequest, RestoreSource};
use contract::upload::{ArtifactUpload, UploadPart, UploadSnapshotRequest};
use contract::{MachineId, Secret, SnapshotId, VolumeId};
use engine::port::CommandJob;
use engine::record::Snapshot;

pub(super) const KERNEL: &str = "http://images.test/kernel";
pub(super) const ROOT_IMAGE: &str = "http://images.test/root.img";
pub(super) const STORE: &str = "http://store.test";

pub(super) fn machine_id(name: &str) -> MachineId {
    name.parse().expect("a machine id of a test")
}

pub(super) fn snapshot_id(name: &str) -> SnapshotId {
    name.parse().expect("a snapshot id of a test")
}

fn artifact() -> ArtifactRef {
    ArtifactRef {
        kernel_image_url: KERNEL.parse().expect("a URL of a test"),
        rootfs_url: ROOT_IMAGE.parse().expect("a URL of a test"),
        initrd_url: None,
        kernel_sha256_hex: None,
        rootfs_sha256_hex: None,
        initrd_sha256_hex: None,
    }
}

pub(super) fn create_request(name: &str) -> CreateMachineRequest {
    CreateMachineRequest {
        machine_id: machine_id(name),
        artifact: artifact(),
        memory_mib: None,
        storage_bytes: Some(2 << 30),
        user_volume_ids: vec![],
        guest_config: None,
        vcpus: None,
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: contract::machine::Egress::Open,
        rate_limits: None,
        cpu_template: None,
    }
}

pub(super) fn volume_id(name: &str) -> VolumeId {
    name.parse().expect("a volume id of a test")
}

pub(super) fn two_children() -> ForkRequest {
    ForkRequest { count: Some(2), ..ForkRequest::default() }
}

pub(super) fn publish_request(name: &str) -> CreatePublishedPortRequest {
    CreatePublishedPortRequest {
        published_port_id: name.parse().expect("a published port id of a test"),
        name: None,
        port: 8080,
        protocol: PortProtocol::Tcp,
        http: false,
    }
}

pub(super) fn mount_request(name: &str) -> CreateMountRequest {
    CreateMountRequest {
        mount_id: name.parse().expect("a mount id of a test"),
        kind: MountKind::S3,
        target_path: format!("/mnt/{name}"),
        read_only: false,
        config: MountConfig {
            bucket: "bucket".into(),
            secret_access_key: Secret::new("a secret"),
            ..MountConfig::default()
        },
    }
}

pub(super) fn command_job() -> CommandJob {
    let request = ExecRequest { command: vec!["true".to_owned()], ..ExecRequest::default() };
    CommandJob { request, timeout_ms: 1000, most_bytes: 1000 }
}

pub(super) fn restore_request(name: &str, source: RestoreSource) -> RestoreSnapshotRequest {
    RestoreSnapshotRequest::named(machine_id(name), artifact(), source)
}

/// Every artifact in two parts.
pub(super) fn upload_request(snapshot: &Snapshot) -> UploadSnapshotRequest {
    let artifacts = snapshot.artifacts.iter().map(|sealed| {
        let half = sealed.size_bytes / 2;
        let part = |part_number, offset_bytes, size_bytes| UploadPart {
            part_number,
            offset_bytes,
            size_bytes,
            upload_url: format!("{STORE}/part").parse().expect("a URL of a test"),
        };
        ArtifactUpload {
            artifact_id: sealed.artifact,
            object_key: sealed.artifact.to_string(),
            upload_id: format!("upload-of-{}", sealed.artifact),
            parts: vec![part(1, 0, half), part(2, half, sealed.size_bytes - half)],
        }
    });
    UploadSnapshotRequest { artifacts: artifacts.collect() }
}
