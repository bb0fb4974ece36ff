//! What of this host a guest depends on: its CPU, its time stamp counter, its kernel, and whether it has hardware virtualisation.

mod cpu;
mod facts;
mod kvm;
mod sys;
mod tsc;

pub use cpu::HostCpu;
pub use facts::{HostError, HostFacts};
