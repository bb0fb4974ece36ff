//! Whether a snapshot can run here. A guest restored onto the wrong CPU or VMM hangs or dies; so it is refused, with the reason.

use contract::ErrorCode;

use crate::record::Origin;

use super::Refusal;

/// How far a measured frequency may be off: it is rounded, and moves a little from boot to boot. The kernel of a guest takes as much
/// for the drift of a good clock (500 ppm).
const TSC_TOLERANCE_PPM: u64 = 250;

/// Refuses a snapshot that would not run here, naming the first thing that differs.
pub fn check(there: &Origin, here: &Origin) -> Result<(), Refusal> {
    differs("the VMM", &format!("{:?}", there.vmm), &format!("{:?}", here.vmm))?;
    differs("the VMM's version", &there.vmm_version, &here.vmm_version)?;
    differs("the VMM's binary", there.vmm_sha256.as_str(), here.vmm_sha256.as_str())?;
    differs("the machine type", &there.machine_type, &here.machine_type)?;
    differs("the accelerator", &there.cpu.accelerator, &here.cpu.accelerator)?;
    differs("the CPU model", &there.cpu.model, &here.cpu.model)?;
    clock(there, here)?;
    if there.cpu.accelerator == "tcg" { Ok(()) } else { hardware(there, here) }
}

/// Under every accelerator the guest counts the host's TSC ticks, and believes in the frequency it was booted with: half of
/// it, and its clock runs twice as fast.
fn clock(there: &Origin, here: &Origin) -> Result<(), Refusal> {
    let tolerated = there.tsc_khz.saturating_mul(TSC_TOLERANCE_PPM) / 1_000_000;
    if there.tsc_khz.abs_diff(here.tsc_khz) <= tolerated {
        return Ok(());
    }
    Err(incompatible(format!(
        "the TSC frequency of the snapshot is {} kHz, here it is {} kHz",
        there.tsc_khz, here.tsc_khz
    )))
}

/// With hardware virtualisation the guest has seen the host's own CPU.
fn hardware(there: &Origin, here: &Origin) -> Result<(), Refusal> {
    differs("the CPU vendor", &there.cpu.vendor, &here.cpu.vendor)?;
    let missing: Vec<&str> = there
        .cpu
        .flags
        .iter()
        .filter(|flag| !here.cpu.flags.contains(flag))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(incompatible(format!("this CPU lacks {}", missing.join(", "))));
    }
    differs("the CPU model", &there.cpu.signature, &here.cpu.signature)
}

fn differs(what: &str, there: &str, here: &str) -> Result<(), Refusal> {
    if there == here {
        return Ok(());
    }
    Err(incompatible(format!("{what} of the snapshot is {there}, here it is {here}")))
}

fn incompatible(reason: String) -> Refusal {
    Refusal::new(ErrorCode::Incompatible, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CpuIdentity, Shape, VmmKind};

    fn origin(accelerator: &str) -> Origin {
        Origin {
            vmm: VmmKind::Qemu,
            vmm_version: "7.2.22".into(),
            vmm_sha256: contract::Sha256Hex::from_bytes(&[1; 32]),
            machine_type: "microvm".into(),
            cpu: CpuIdentity {
                accelerator: accelerator.into(),
                model: "host".into(),
                vendor: "GenuineIntel".into(),
                signature: "6-106-6".into(),
                flags: vec!["avx2".into(), "avx512f".into()],
            },
            tsc_khz: 2_600_000,
            host_kernel: "6.1.0".into(),
            shape: Shape { vcpus: 1, memory_mib: 256 },
        }
    }

    fn refusal(change: impl FnOnce(&mut Origin), accelerator: &str) -> Option<String> {
        let mut here = origin(accelerator);
        change(&mut here);
        check(&origin(accelerator), &here).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn promise_p6_what_would_hang_the_guest_is_refused_with_the_reason() {
        let version = refusal(|here| here.vmm_version = "10.0.2".into(), "tcg");
        assert_eq!(
            version.as_deref(),
            Some("the VMM's version of the snapshot is 7.2.22, here it is 10.0.2")
        );
        let clock = refusal(|here| here.tsc_khz = 1_300_000, "tcg");
        assert!(clock.is_some_and(|reason| reason.contains("1300000 kHz")));
        let flags = refusal(|here| here.cpu.flags = vec!["avx2".into()], "kvm");
        assert_eq!(flags.as_deref(), Some("this CPU lacks avx512f"));
    }

    #[test]
    fn what_does_not_matter_is_not_compared() {
        assert_eq!(refusal(|_| (), "kvm"), None);
        assert_eq!(refusal(|here| here.tsc_khz += 500, "tcg"), None);
        assert_eq!(refusal(|here| here.host_kernel = "6.12.0".into(), "kvm"), None);
        // Under emulation the guest never sees the host's CPU.
        assert_eq!(refusal(|here| here.cpu.flags.clear(), "tcg"), None);
    }
}
