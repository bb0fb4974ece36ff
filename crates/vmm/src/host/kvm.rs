//! Whether KVM stands on hardware.

use std::path::Path;

/// `/dev/kvm` alone proves nothing: KVM-PVM has one too, and no ordinary kernel boots under it. On x86 one of the two hardware
/// modules must be loaded; elsewhere the device is enough.
pub(super) fn is_hardware_backed() -> bool {
    let exists = |path: &str| Path::new(path).exists();
    let has_module =
        ["kvm_intel", "kvm_amd"].iter().any(|name| exists(&format!("/sys/module/{name}")));
    exists("/dev/kvm") && (has_module || !cfg!(target_arch = "x86_64"))
}
