//! Why a command did not do what was asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use contract::client::ClientError;
use contract::id::{ExecSessionId, MachineId, SnapshotId};
use reqwest::header::InvalidHeaderValue;

use crate::image::ImageError;
use crate::object_store::StoreError;
use crate::setup::SetupError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The daemon refused, failed or could not be reached.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// Something about images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Something about preparing this host.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Something about the object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two daemons are named.
    #[error(
        "both a socket and a host are given (look at COMPUTER_SOCKET and COMPUTER_HOST): give one"
    )]
    TwoDaemons,
    /// The token cannot be sent.
    #[error("the token holds characters that cannot be sent")]
    TokenUnfit(#[source] InvalidHeaderValue),
    /// A file cannot be read.
    #[error("read {path}")]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A key cannot be used.
    #[error("read an SSH key")]
    Key(#[source] contract::ssh_key::SshKeyError),
    /// A file cannot be written.
    #[error("write {path}")]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The answer cannot be printed.
    #[error("write to standard output")]
    Print(#[source] io::Error),
    /// The answer cannot be written as JSON.
    #[error("write the answer as JSON")]
    PrintJson(#[source] serde_json::Error),
    /// The image's own files say something that cannot be sent.
    #[error("the image {image} cannot be used: {reason}")]
    ImageUnfit {
        /// The image.
        image: String,
        /// Why not.
        reason: &'static str,
    },
    /// The machine was made, and then failed.
    #[error("machine {machine} failed: {reason}")]
    MachineFailed {
        /// The machine.
        machine: MachineId,
        /// What the daemon says.
        reason: String,
    },
    /// A snapshot does not say what its machine booted.
    #[error(
        "snapshot {snapshot} does not say what its machine booted: give --image, or --kernel and --rootfs"
    )]
    UnknownArtifact {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// The daemon has not finished the digests of a snapshot.
    #[error("the digests of snapshot {snapshot} were not known within {} s", .after.as_secs())]
    DigestsMissing {
        /// The snapshot.
        snapshot: SnapshotId,
        /// How long they were waited for.
        after: Duration,
    },
    /// The answer to an upload does not fit what was asked for.
    #[error("the daemon's answer to the upload does not cover what it was asked to upload")]
    UploadAnswer,
    /// A key cannot be read.
    #[error("read the key in {}", .path.display())]
    ReadKey {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no key.
    #[error("{} does not hold a key: 32 bytes, or their base64", .path.display())]
    WrongKey {
        /// Which file.
        path: PathBuf,
    },
    /// Standard input cannot be read.
    #[error("read standard input")]
    ReadInput(#[source] io::Error),
    /// A copy that is not between this host and a machine.
    #[error("one end of a copy is in a machine (MACHINE:PATH), the other is not")]
    CopyPlaces,
    /// What is copied has no name.
    #[error("{path} is not there, or has no name that can be sent")]
    CopyName {
        /// What was to be copied.
        path: PathBuf,
    },
    /// A mount that has no name, and no bucket to be named after.
    #[error("give the mount a name with --id: its bucket has none that would do")]
    MountUnnamed,
    /// What is to be watched is not in a machine.
    #[error("only what is in a machine can be watched: MACHINE:PATH")]
    NothingToWatch,
    /// The terminal cannot be prepared.
    #[error("prepare the terminal")]
    Terminal(#[source] io::Error),
    /// Signals cannot be listened for.
    #[error("listen for signals")]
    Signals(#[source] io::Error),
    /// The command could not be run in the guest, or was lost.
    #[error("{message} ({code})")]
    Command {
        /// What the daemon says.
        message: String,
        /// The same for programs.
        code: contract::ErrorCode,
    },
    /// The connection broke, and input was lost with it.
    #[error("the connection broke, and it is not known how much of the input had arrived")]
    InputLost,
    /// No command, or more than one, could be meant.
    #[error(
        "{running} commands run in {machine}: name one, `computer sessions {machine}` lists them"
    )]
    WhichSession {
        /// The machine.
        machine: MachineId,
        /// How many.
        running: usize,
    },
    /// There is no such command.
    #[error("no session {session} in {machine}")]
    NoSession {
        /// The machine.
        machine: MachineId,
        /// Its name.
        session: ExecSessionId,
    },
    /// The daemon ended the connection before the command ended.
    #[error("the daemon ended the connection before the command ended")]
    CommandLost,
}
