//! What the host's kernel gives: virtualisation, control groups, forwarding, limits.

use std::{fs, path::Path};

use rustix::{
    fs::statfs,
    process::{Resource, geteuid, getrlimit},
};

use super::check::Check;

const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// `cgroup.kill`, by which a machine's processes are ended.
const OLDEST_KERNEL: (u32, u32) = (5, 14);
const OPEN_FILES: u64 = 65_536;

/// Every check of the kernel.
pub(super) fn checks() -> Vec<Check> {
    vec![user(), version(), virtualisation(), cgroups(), tunnels(), forwarding(), open_files()]
}

fn user() -> Check {
    if geteuid().is_root() {
        Check::good("user", "root")
    } else {
        let found = "not root: computerd, image building and storage set-up need it";
        Check::limited("user", found, "run with sudo")
    }
}

fn version() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match parse_version(&release) {
        Some(version) if version < OLDEST_KERNEL => {
            let remedy = format!("run Linux {}.{} or later", OLDEST_KERNEL.0, OLDEST_KERNEL.1);
            Check::missing("linux", release, remedy)
        }
        Some(_) | None => Check::good("linux", release),
    }
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether this host's KVM is the processor's own: `/dev/kvm` alone does not tell.
pub(super) fn has_hardware_kvm() -> bool {
    let has_module = ["kvm_intel", "kvm_amd"]
        .iter()
        .any(|module| Path::new("/sys/module").join(module).is_dir());
    Path::new("/dev/kvm").exists() && (has_module || cfg!(target_arch = "aarch64"))
}

fn virtualisation() -> Check {
    let remedy = "turn on virtualisation in the firmware or, in a virtual machine, nested virtualisation; \
                  without it machines work, slower";
    if has_hardware_kvm() {
        Check::good("kvm", "hardware virtualisation")
    } else if Path::new("/dev/kvm").exists() {
        Check::limited("kvm", "/dev/kvm without kvm_intel or kvm_amd: QEMU emulates (TCG)", remedy)
    } else {
        Check::limited("kvm", "no /dev/kvm: QEMU emulates (TCG)", remedy)
    }
}

fn cgroups() -> Check {
    let is_cgroup2 = |path: &str| {
        statfs(path).is_ok_and(|found| u64::try_from(found.f_type) == Ok(CGROUP2_MAGIC))
    };
    match ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().find(|path| is_cgroup2(path)) {
        Some(path) => Check::good("cgroup2", *path),
        None => {
            let remedy = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
            Check::missing("cgroup2", "not mounted", remedy)
        }
    }
}

fn tunnels() -> Check {
    if Path::new("/dev/net/tun").exists() {
        Check::good("tun", "/dev/net/tun")
    } else {
        Check::missing("tun", "no /dev/net/tun", "modprobe tun")
    }
}

fn forwarding() -> Check {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    match setting.as_deref().map(str::trim) {
        Ok("1") => Check::good("ip_forward", "on"),
        Ok(_) => Check::limited(
            "ip_forward",
            "off: machines reach nothing outside until computerd turns it on",
            "start computerd, or sysctl -w net.ipv4.ip_forward=1",
        ),
        Err(error) => {
            Check::missing("ip_forward", error.to_string(), "run a kernel with IPv4 networking")
        }
    }
}

fn open_files() -> Check {
    let limit = getrlimit(Resource::Nofile).maximum;
    match limit {
        Some(limit) if limit < OPEN_FILES => Check::limited(
            "open files",
            format!("at most {limit}"),
            format!("raise the hard limit to {OPEN_FILES} (LimitNOFILE= of computerd's unit)"),
        ),
        Some(limit) => Check::good("open files", format!("at most {limit}")),
        None => Check::good("open files", "no limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_every_spelling_have_a_version() {
        assert_eq!(parse_version("6.1.0-56-cloud-amd64"), Some((6, 1)));
        assert_eq!(parse_version("5.14-rc1"), Some((5, 14)));
        assert_eq!(parse_version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse_version("unknown"), None);
    }
}
