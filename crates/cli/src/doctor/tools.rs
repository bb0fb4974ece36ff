//! The programs that machines and images need.

use super::{check::Check, kernel::has_hardware_kvm};
use crate::{image, qemu::QemuVersion, tool::find_program};

/// Every check of programs.
pub(super) fn checks() -> Vec<Check> {
    vec![qemu(), firecracker(), nft(), image_tools()]
}

fn qemu() -> Check {
    match QemuVersion::installed() {
        Ok(version) => judge_qemu(version),
        Err(error) => Check::missing("qemu", error.to_string(), "apt-get install qemu-system-x86"),
    }
}

fn judge_qemu(version: QemuVersion) -> Check {
    if !version.is_known_to_work() {
        Check::missing("qemu", version.text, "install QEMU 7 or later")
    } else if version.boots_uncompressed_kernels() {
        Check::good("qemu", version.text)
    } else {
        Check::limited(
            "qemu",
            format!("{}: images get compressed kernels, which boot more slowly", version.text),
            "prefer the QEMU of Debian 12 (7.2)",
        )
    }
}

fn firecracker() -> Check {
    let is_there = ["firecracker", "jailer"].iter().all(|program| find_program(program).is_some());
    match (is_there, has_hardware_kvm()) {
        (true, true) => Check::good("firecracker", "with its jailer"),
        (true, false) => Check::good("firecracker", "there, but unused without hardware KVM"),
        (false, false) => {
            Check::good("firecracker", "not installed, and of no use without hardware KVM")
        }
        (false, true) => Check::limited(
            "firecracker",
            "not installed: machines run under QEMU",
            "install firecracker and jailer, of one release, in PATH",
        ),
    }
}

fn nft() -> Check {
    match find_program("nft") {
        Some(path) => Check::good("nft", path.display().to_string()),
        None => Check::missing("nft", "not installed", "apt-get install nftables"),
    }
}

fn image_tools() -> Check {
    let missing: Vec<_> =
        image::TOOLS.iter().filter(|(program, _)| find_program(program).is_none()).collect();
    if missing.is_empty() {
        return Check::good("image tools", "mmdebstrap and the rest");
    }
    let names = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
        missing.iter().map(|one| pick(one)).collect::<Vec<_>>().join(" ")
    };
    Check::limited(
        "image tools",
        format!("no {}: images cannot be built here", names(|(program, _)| program)),
        format!("apt-get install {}", names(|(_, package)| package)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn qemu_is_judged_by_its_version() {
        let table = [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright", Status::Good),
            ("QEMU emulator version 10.0.2\n", Status::Limited),
            ("QEMU emulator version 5.2.0\n", Status::Missing),
            ("something else", Status::Missing),
        ];
        for (output, status) in table {
            assert_eq!(judge_qemu(QemuVersion::parse(output)).status, status, "{output}");
        }
    }
}
