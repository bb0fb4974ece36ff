//! The operator's hand: machines and snapshots through the daemon, object stores without a control plane, images.
//!
//! ```text
//! arguments -> run -> machine | exec | copy | port | snapshot ... -> the daemon, through contract's client
//!                     image | setup | doctor                    -> this host
//!                     snapshot upload, restore                  -> object_store, which signs
//! output    <-------- answers: tables for people, JSON for programs
//! ```
//! One module per group of commands. Each command takes its arguments and a client, and gives an answer that can be shown
//! (`Display`) and sent on (`Serialize`); only [`run`](run()) prints, and only `computer exec`, `computer cp` and `computer watch` write as they go.

mod arguments;
mod byte_size;
mod connection;
mod copy;
pub mod doctor;
mod error;
mod exec;
mod fork;
pub mod image;
mod machine;
mod manual;
mod mount;
mod object_store;
mod operation;
mod output;
mod port;
mod progress;
mod qemu;
mod run;
pub mod setup;
mod snapshot;
mod storage;
mod store;
mod tool;
mod volume;
mod watch;

pub use byte_size::{ByteSize, InvalidByteSize};

pub use run::run;
