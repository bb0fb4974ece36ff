//! QEMU's `microvm`, under KVM where it is real and under TCG elsewhere.

pub mod command_line;
pub mod qmp;
