//! What an operator decides: one TOML file plus environment plus flags, checked whole, then passed on.
//!
//! ```text
//!  defaults < /etc/computer/computerd.toml < COMPUTERD_<SECTION>__<KEY> < --set section.key=value --> Config::check
//! ```
//! Unknown keys are errors wherever they come from. Every limit is a field with its unit and a default beside its reason.

mod address;
mod check;
mod firecracker;
mod limits;
mod load;
mod network;
mod sections;

pub use address::{BlockError, parse_block};
pub use check::ConfigError;
pub(crate) use check::read_token;
pub use firecracker::{DiskCache, Firecracker, IoEngine};
pub use limits::{Deadlines, Limits};
pub use load::{DEFAULT_PATH, Sources};
pub use network::{Network, Relay};
pub use sections::{
    Accelerator, Config, Debug, Defaults, DiskClone, Guest, Listen, Log, LogFormat, Overcommit,
    Qemu, VmmChoice,
};
