//! What the engine needs from the outside: six ports for effects, and the [`Journal`] for memory.
//!
//! Every port is a small trait named for the need. Adapters are thin and live in other crates; decisions stay here. Each port
//! has one conformance suite, run by the fake of the harness and by every real adapter.
//!
//! All calls are idempotent where their name says `ensure`, `end`, `destroy` or `remove`: done twice, or on what was never
//! made, they succeed. Every call that waits takes a deadline or has one of its own.

mod chunks;
mod clock;
mod error;
mod files;
mod filling;
mod forms;
mod guest;
mod journal;
mod network;
mod vmm;

pub use chunks::{
    CheckDepth, Chunks, DownloadTarget, PartSink, SealRequest, UploadJob, UploadPart,
};
pub use clock::Clock;
pub use error::{Fault, PortError};
pub use files::{DiskSource, Files};
pub use filling::{Fill, FillRequest, FilledFile, Filling, FillingPlace};
pub use forms::{
    ChunkCheck, CutJob, FormPack, FormTarget, FormUrl, Forms, KnownForm, PackPut, SendJob, Sent,
};
pub use guest::{
    CommandJob, Configured, GrownDisk, Guest, GuestIdentity, Login, MountOrder, MountReport, Reach,
    Renewal, Renewed, SshHostKeys,
};
pub use journal::{BeginError, Closing, Journal};
pub use network::{Network, OpenRelay, Opened, Relay};
pub use vmm::{
    Boot, Disk, GuestMemory, Launch, LaunchSpec, Observation, OriginOf, RunState, Vmm, VmmHandle,
};
