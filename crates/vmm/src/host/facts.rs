//! All facts together, found out once at the start of the daemon.

use std::io;

use super::{HostCpu, kvm, tsc};

/// Why a fact could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// `/proc/cpuinfo` could not be read.
    #[error("read the identity of the host's CPU")]
    Cpu(#[source] io::Error),
    /// The time stamp counter could not be measured.
    #[error("measure the time stamp counter")]
    Tsc(#[source] io::Error),
}

/// What a guest depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The CPU.
    pub cpu: HostCpu,
    /// The rate of the time stamp counter, in kHz.
    pub tsc_khz: u64,
    /// `uname -r`.
    pub kernel_release: String,
    /// Whether KVM is backed by hardware, so that ordinary guests run under it.
    pub has_hardware_kvm: bool,
}

impl HostFacts {
    /// Finds everything out. Blocking: where the counter's rate must be measured it takes a fifth of a second.
    pub fn find_out() -> Result<Self, HostError> {
        Ok(Self {
            cpu: HostCpu::read().map_err(HostError::Cpu)?,
            tsc_khz: tsc::khz().map_err(HostError::Tsc)?,
            kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
            has_hardware_kvm: kvm::is_hardware_backed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_this_host_are_complete_and_stable() {
        let facts = HostFacts::find_out().unwrap();

        assert_eq!(facts, HostFacts::find_out().unwrap());
        assert!(!facts.cpu.vendor.is_empty() && !facts.cpu.flags.is_empty());
        assert!((100_000..10_000_000).contains(&facts.tsc_khz), "{} kHz", facts.tsc_khz);
    }
}
