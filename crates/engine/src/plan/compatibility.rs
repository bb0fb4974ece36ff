//! Whether a snapshot can run here. A guest restored onto the wrong CPU or VMM hangs or dies; so it is refused, with the reason.

use contract::ErrorCode;

use crate::record::Origin;

use super::Refusal;

/// Refuses a snapshot that would not run here, naming the first thing that differs.
pub fn check(there: &Origin, here: &Origin) -> Result<(), Refusal> {
    differs("the VMM", &format!("{:?}", there.vmm), &format!("{:?}", here.vmm))?;
    differs("the VMM's version", &there.vmm_version, &here.vmm_version)?;
    differs("the VMM's binary", there.vmm_sha256.as_str(), here.vmm_sha256.as_str())?;
    differs("the machine type", &there.machine_type, &here.machine_type)?;
    differs("the accelerator", &there.cpu.accelerator, &here.cpu.accelerator)?;
    differs("the CPU model", &there.cpu.model, &here.cpu.model)?;
    if there.cpu.accelerator != "tcg" {
        hardware(there, here)?;
    }
    Ok(())
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
    differs("the CPU model", &there.cpu.signature, &here.cpu.signature)?;
    differs("the TSC frequency", &there.tsc_khz.to_string(), &here.tsc_khz.to_string())
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
