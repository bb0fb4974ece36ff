//! Which CPU this host has.

use std::fs;
use std::io;

/// The host's CPU, as `/proc/cpuinfo` tells of the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCpu {
    /// `GenuineIntel`, `AuthenticAMD`, or the implementer's code on ARM.
    pub vendor: String,
    /// `family-model-stepping`, or architecture, part and revision on ARM.
    pub signature: String,
    /// Feature flags, sorted.
    pub flags: Vec<String>,
}

impl HostCpu {
    /// Reads it.
    pub(super) fn read() -> io::Result<Self> {
        Self::parse(&fs::read_to_string("/proc/cpuinfo")?).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "/proc/cpuinfo names no vendor")
        })
    }

    fn parse(cpuinfo: &str) -> Option<Self> {
        let first = cpuinfo.split("\n\n").next()?;
        let field = |names: [&str; 2]| {
            first.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                names.contains(&name.trim()).then(|| value.trim())
            })
        };
        let vendor = field(["vendor_id", "CPU implementer"])?.to_owned();
        let signature = [
            ["cpu family", "CPU architecture"],
            ["model", "CPU part"],
            ["stepping", "CPU revision"],
        ]
        .map(|names| field(names).unwrap_or_default())
        .join("-");
        let flags = field(["flags", "Features"]).unwrap_or_default();
        let mut flags: Vec<_> = flags.split_ascii_whitespace().map(str::to_owned).collect();
        flags.sort();
        Some(Self { vendor, signature, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cpu_is_read_and_its_flags_are_sorted() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 167\nmodel name\t: Xeon\n\
                       stepping\t: 1\nflags\t\t: sse fpu avx\n\nprocessor\t: 1\nvendor_id\t: Other\n";
        let cpu = HostCpu::parse(cpuinfo).unwrap();

        assert_eq!((cpu.vendor.as_str(), cpu.signature.as_str()), ("GenuineIntel", "6-167-1"));
        assert_eq!(cpu.flags, ["avx", "fpu", "sse"]);
        assert_eq!(HostCpu::parse("processor : 0\n"), None);
    }
}
