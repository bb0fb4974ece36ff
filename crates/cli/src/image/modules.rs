//! Which kernel modules a guest starts with, and in which order they load.
//!
//! `depmod` writes `modules.dep` (what each module needs) and the kernel package ships `modules.builtin` (what needs no module).
//! A compressed module (`.ko.xz`, Debian 13) is listed by its compressed name.

use std::collections::{BTreeMap, BTreeSet};

/// The drivers of a machine's devices, in the order they are wanted: the root disk first, then what the agent speaks through.
pub(crate) const GUEST_DRIVERS: [&str; 9] = [
    "virtio_ring",
    "virtio",
    "virtio_mmio",
    "virtio_blk",
    "ext4",
    "virtio_console",
    "virtio_net",
    "virtio_rng",
    "vmw_vsock_virtio_transport",
];

/// What a kernel's module lists say.
#[derive(Debug, Default)]
pub(crate) struct ModuleLists {
    /// For each module's name: its path and the paths of what it needs.
    modules: BTreeMap<String, (String, Vec<String>)>,
    built_in: BTreeSet<String>,
}

impl ModuleLists {
    /// Reads the text of `modules.dep` and of `modules.builtin`.
    pub(crate) fn parse(dependencies: &str, built_in: &str) -> Self {
        let modules = dependencies.lines().filter_map(|line| line.split_once(':'));
        let modules = modules.map(|(path, needs)| {
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            (module_name(path), (path.to_owned(), needs))
        });
        Self { modules: modules.collect(), built_in: built_in.lines().map(module_name).collect() }
    }

    /// The paths of `wanted` and everything they need, each after what it needs; what is built in is left out.
    ///
    /// # Errors
    /// The name of the first module that is neither there nor built in.
    pub(crate) fn load_order(&self, wanted: &[&str]) -> Result<Vec<String>, String> {
        let mut order = Vec::new();
        for name in wanted {
            self.add(&module_name(name), &mut order)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<String>) -> Result<(), String> {
        let Some((path, needs)) = self.modules.get(name) else {
            return if self.built_in.contains(name) { Ok(()) } else { Err(name.to_owned()) };
        };
        if order.contains(path) {
            return Ok(());
        }
        // depmod lists everything a module needs, the first needed last.
        for need in needs.iter().rev() {
            self.add(&module_name(need), order)?;
        }
        order.push(path.clone());
        Ok(())
    }
}

/// The module's name in a path, as the kernel spells it: `.../virtio-rng.ko.xz` is `virtio_rng`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio_mmio.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz
kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz
kernel/net/core/failover.ko.xz:
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
";

    #[test]
    fn every_module_comes_once_and_after_what_it_needs() {
        let lists = ModuleLists::parse(DEPENDENCIES, "kernel/fs/ext4/ext4.ko\n");
        let wanted = ["virtio_ring", "virtio", "virtio_mmio", "ext4", "virtio_net", "virtio_rng"];
        let order = lists.load_order(&wanted).expect("all are there");
        assert_eq!(
            order,
            [
                "kernel/drivers/virtio/virtio_ring.ko",
                "kernel/drivers/virtio/virtio.ko",
                "kernel/drivers/virtio/virtio_mmio.ko",
                "kernel/net/core/failover.ko.xz",
                "kernel/drivers/net/net_failover.ko.xz",
                "kernel/drivers/net/virtio_net.ko.xz",
                "kernel/drivers/char/hw_random/virtio-rng.ko",
            ]
        );
    }

    #[test]
    fn a_driver_that_is_nowhere_is_named() {
        let lists = ModuleLists::parse(DEPENDENCIES, "");
        assert_eq!(lists.load_order(&["virtio", "virtio_blk"]), Err("virtio_blk".to_owned()));
    }
}
