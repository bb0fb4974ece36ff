//! Arguments of devices and CPU, for hosts that run Firecracker.

use clap::{Args, ValueEnum};
use contract::machine::{CpuTemplate, RateLimits};

use crate::byte_size::ByteSize;

/// How a machine's devices and CPU are made.
#[derive(Debug, Clone, Args)]
pub(crate) struct TuningArguments {
    /// Bytes a second of each disk, such as 100M.
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk_rate: Option<ByteSize>,
    /// Operations a second of each disk.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) disk_operations: Option<u64>,
    /// Bytes a second of the network, in each direction, such as 10M.
    #[arg(long, value_name = "SIZE")]
    pub(crate) network_rate: Option<ByteSize>,
    /// The CPU that the guest sees.
    #[arg(long, value_enum)]
    pub(crate) cpu_template: Option<CpuTemplateArgument>,
}

/// A CPU template of Firecracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum CpuTemplateArgument {
    C3,
    T2,
    T2S,
    T2CL,
    T2A,
    V1N1,
}

impl From<CpuTemplateArgument> for CpuTemplate {
    fn from(argument: CpuTemplateArgument) -> Self {
        match argument {
            CpuTemplateArgument::C3 => Self::C3,
            CpuTemplateArgument::T2 => Self::T2,
            CpuTemplateArgument::T2S => Self::T2S,
            CpuTemplateArgument::T2CL => Self::T2CL,
            CpuTemplateArgument::T2A => Self::T2A,
            CpuTemplateArgument::V1N1 => Self::V1N1,
        }
    }
}

impl TuningArguments {
    /// What is asked for, if anything is.
    pub(crate) fn rate_limits(&self) -> Option<RateLimits> {
        let limits = RateLimits {
            disk_bytes_per_second: self.disk_rate.map(ByteSize::bytes),
            disk_operations_per_second: self.disk_operations,
            network_bytes_per_second: self.network_rate.map(ByteSize::bytes),
        };
        (limits != RateLimits::default()).then_some(limits)
    }
}
