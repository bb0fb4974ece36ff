//! A fake host: one small world in memory, and a fake of every port of the engine over it.
//!
//! ```text
//! World (disk, processes, cgroups, slots, object store, journal, time)
//!   ^ every effect passes the gate of one daemon's Life: fail before | fail after | crash before | crash after
//!   |
//! FakeVmm  FakeNetwork  FakeFiles  FakeGuest  FakeChunks  FakeClock  MemoryJournal
//! ```
//!
//! The world outlives daemons, as a host does. A [`Life`] is one run of a daemon: when it crashes, nothing of it goes on, and
//! the next life finds what is there. The world also watches: what no correct daemon does (a clone that speaks before it has
//! confirmed, memory and disk of different instants, a sealed inode that a VMM has held) is noted as a defect.

pub mod chunks;
pub mod clock;
pub mod content;
pub mod daemon;
pub mod disk;
mod effects;
pub mod faults;
pub mod files;
mod filling;
mod forms;
pub mod guest;
pub mod journal;
pub mod journal_rows;
pub mod life;
pub mod network;
pub mod objects;
pub mod picture;
pub mod process;
mod sealed;
pub mod vmm;
mod vmm_start;
pub mod world;

pub use content::{Content, Part};
pub use daemon::{FakeDaemon, OperateError};
pub use faults::{Fault, Faults, How};
pub use life::Life;
pub use picture::Picture;
pub use process::{Agent, Process};
pub use world::{State, World};
