//! QEMU's `microvm`, under KVM where it is real and under TCG elsewhere.
//!
//! Guest RAM is a file of the machine's own and device state is a migration of some 70 KiB: so a pause is as long for 2 GiB as for
//! 256 MiB, and the files are cloned by others while it lasts. The adapter keeps nothing in memory but a monitor's connection while
//! a guest is paused, and the memory that clones share: whatever it needs of a run is derived from its [`Launch`](engine::port::Launch), so a new daemon commands the QEMUs
//! of the old.

mod adapter;
pub mod command_line;
mod config;
mod device_state;
mod error;
mod installation;
mod launch;
mod monitors;
pub mod qmp;
mod run;
mod shared_memory;
mod shutdown;

pub use adapter::Qemu;
pub use config::{AcceleratorChoice, Deadlines, QemuConfig, default_kernel_arguments};
pub use error::QemuError;
pub use installation::Installation;
pub use run::{AGENT_SOCKET, Run};
