//! Instructions that have no safe wrapper.
#![expect(unsafe_code, reason = "rdtsc is an unsafe intrinsic")]

/// The time stamp counter now.
#[cfg(target_arch = "x86_64")]
pub(super) fn counter() -> Option<u64> {
    // SAFETY: every x86-64 CPU has rdtsc, and Linux lets programs use it.
    Some(unsafe { core::arch::x86_64::_rdtsc() })
}

/// The rate that the CPU (leaf 15h) or a hypervisor (timing leaf 40000010h, as VMware and KVM have it) tells, in kHz.
#[cfg(target_arch = "x86_64")]
pub(super) fn told_khz() -> Option<u64> {
    use core::arch::x86_64::__cpuid as cpuid;
    let is_virtual = cpuid(1).ecx >> 31 == 1;
    if is_virtual && cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let told = u64::from(cpuid(0x4000_0010).eax);
        if told != 0 {
            return Some(told);
        }
    }
    if cpuid(0).eax < 0x15 {
        return None;
    }
    let clock = cpuid(0x15);
    let (denominator, numerator, crystal_hz) =
        (u64::from(clock.eax), u64::from(clock.ebx), u64::from(clock.ecx));
    let is_told = !is_virtual && denominator != 0 && numerator != 0 && crystal_hz != 0;
    is_told.then(|| crystal_hz * numerator / denominator / 1000)
}

/// No such counter here.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn counter() -> Option<u64> {
    None
}

/// No such counter here.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn told_khz() -> Option<u64> {
    None
}
