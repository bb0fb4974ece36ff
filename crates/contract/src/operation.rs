//! Operations: what a host did or is doing for a caller, by which a lost answer is found again.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::forgiving;
use crate::id::{IdError, OperationId};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Makes a machine.
    CreateMachine,
    /// Starts a machine.
    StartMachine,
    /// Stops a machine.
    StopMachine,
    /// Gives a machine another size.
    ResizeMachine,
    /// Removes a machine.
    DeleteMachine,
    /// Opens the exec port of a machine.
    OpenExecRelay,
    /// Runs a command in a guest.
    Exec,
    /// Changes files in a guest.
    ChangeFiles,
    /// Takes a snapshot.
    CreateSnapshot,
    /// Sends a snapshot to an object store.
    UploadSnapshot,
    /// Makes the chunked form of a snapshot.
    ChunkSnapshot,
    /// Takes away packs that no snapshot needs.
    CollectChunks,
    /// Makes a machine from a snapshot.
    RestoreSnapshot,
    /// Makes machines from a machine that runs, or from a snapshot; each child has an operation of its own.
    Fork,
    /// Removes a snapshot.
    DeleteSnapshot,
    /// Makes a volume.
    CreateVolume,
    /// Makes a volume larger.
    GrowVolume,
    /// Attaches a volume to a machine.
    AttachVolume,
    /// Takes a volume from its machine.
    DetachVolume,
    /// Removes a volume.
    DeleteVolume,
    /// Publishes a port.
    CreatePublishedPort,
    /// Takes a published port back.
    DeletePublishedPort,
    /// Mounts a bucket in a guest.
    CreateMount,
    /// Unmounts it.
    DeleteMount,
    /// Gives relays of a machine other ports, since somebody else listens on theirs.
    MovePorts,
    /// Records that a machine's VMM ended by itself, and releases what it held.
    RetireMachine,
}

impl OperationKind {
    /// The kind as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateMachine => "create_machine",
            Self::StartMachine => "start_machine",
            Self::StopMachine => "stop_machine",
            Self::ResizeMachine => "resize_machine",
            Self::DeleteMachine => "delete_machine",
            Self::OpenExecRelay => "open_exec_relay",
            Self::Exec => "exec",
            Self::ChangeFiles => "change_files",
            Self::CreateSnapshot => "create_snapshot",
            Self::UploadSnapshot => "upload_snapshot",
            Self::ChunkSnapshot => "chunk_snapshot",
            Self::CollectChunks => "collect_chunks",
            Self::RestoreSnapshot => "restore_snapshot",
            Self::Fork => "fork",
            Self::DeleteSnapshot => "delete_snapshot",
            Self::CreateVolume => "create_volume",
            Self::GrowVolume => "grow_volume",
            Self::AttachVolume => "attach_volume",
            Self::DetachVolume => "detach_volume",
            Self::DeleteVolume => "delete_volume",
            Self::CreatePublishedPort => "create_published_port",
            Self::DeletePublishedPort => "delete_published_port",
            Self::CreateMount => "create_mount",
            Self::DeleteMount => "delete_mount",
            Self::MovePorts => "move_ports",
            Self::RetireMachine => "retire_machine",
        }
    }
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// It has not come to an end.
    Running,
    /// It happened.
    Committed,
    /// It did not happen, and nothing is left of it.
    Undone,
    /// It did not happen, and something may be left that could not be undone yet.
    Failed,
}

impl OperationState {
    /// The state as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Committed => "committed",
            Self::Undone => "undone",
            Self::Failed => "failed",
        }
    }
}

/// An operation as a host answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// The idempotency key of its request.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub key: Option<IdempotencyKey>,
    /// How far it has come.
    pub state: OperationState,
    /// The machine, snapshot, port or mount that it is about.
    pub resource_id: String,
    /// The status of the answer that was given.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub status: Option<u16>,
    /// Why it did not happen.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub error: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What a caller calls a request, so that repeating it does nothing twice: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[!-~]{1,128}$")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The header that carries it.
    pub const HEADER: &str = "idempotency-key";

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new("idempotency key", "1 to 128 visible ASCII characters"))
        }
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> String {
        key.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The header in which every mutation answers its operation.
pub const OPERATION_ID_HEADER: &str = "operation-id";

/// What a listing of operations is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OperationsQuery {
    /// The idempotency key of the request whose operations are wanted.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[param(value_type = Option<String>)]
    pub key: Option<IdempotencyKey>,
}

/// What the answer of create, start and restore waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// `running`: answer when the guest is ready or has failed. Without it, when the VMM runs.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[param(inline, value_type = Option<String>)]
    pub wait: Option<Wait>,
}

/// What there is to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// That the guest is ready, or has failed.
    Running,
}

/// The answer that holds one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationAnswer {
    /// The operation.
    pub operation: Operation,
}

/// The answer that lists operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationsAnswer {
    /// The operations, newest first.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub operations: Vec<Operation>,
}
