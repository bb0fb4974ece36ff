//! The first file system of a guest: busybox, the drivers of its devices, and a script that mounts the root disk and hands over.
//!
//! Debian's cloud kernel has every virtio driver as a module, and `ext4` built in (`qemu.md`, "Boot"). The archive is left uncompressed: a
//! host reads it faster than a guest unpacks it.

use super::cpio::{Archive, Device};

/// The script that the kernel runs first, without its list of modules.
pub(crate) const INIT_TEMPLATE: &str = r#"#!/bin/busybox sh
# Made by `computer image build`: loads the drivers of the machine's devices, mounts the root disk and hands over.
# The kernel command line may say root=<device>, ro, rw and init=<program>.
# Where this script ends the kernel panics, and panic=-1 ends the machine, with the reason on its console.
bb=/bin/busybox
fail() {
	echo "initramfs: $1"
	exit 1
}

$bb mount -t proc proc /proc || fail "cannot mount /proc"
$bb mount -t devtmpfs dev /dev || fail "cannot mount /dev"
for module in @MODULES@; do
	$bb insmod "/modules/$module" || fail "cannot load $module"
done

root=/dev/vda
mode=rw
init=/usr/sbin/computer-agent
read -r command_line </proc/cmdline
for word in $command_line; do
	case $word in
	root=*) root=${word#root=} ;;
	init=*) init=${word#init=} ;;
	ro | rw) mode=$word ;;
	esac
done

# A disk is there once its driver has found it: wait, but not for ever.
tries=0
until [ -b "$root" ]; do
	tries=$((tries + 1))
	[ "$tries" -le 200 ] || fail "no root disk $root"
	$bb usleep 50000
done
# A new disk reads as zeros: its inode tables need no writing (noinit_itable), neither now nor when the agent grows it.
$bb mount -t ext4 -o "$mode,noatime,noinit_itable" "$root" /root || fail "cannot mount $root"
$bb umount /dev
$bb umount /proc
exec $bb switch_root /root "$init"
"#;

/// One kernel module, uncompressed.
#[derive(Debug)]
pub(crate) struct Module {
    /// The name of its file.
    pub(crate) file: String,
    /// Its bytes.
    pub(crate) content: Vec<u8>,
}

/// The archive with a static `busybox` and `modules`, which are loaded in the given order.
pub(crate) fn archive(busybox: &[u8], modules: &[Module]) -> Vec<u8> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "proc", "root", "modules"] {
        archive.directory(directory);
    }
    archive.character_device("dev/console", Device { major: 5, minor: 1 });
    archive.character_device("dev/null", Device { major: 1, minor: 3 });
    archive.file("bin/busybox", 0o755, busybox);
    for module in modules {
        archive.file(&format!("modules/{}", module.file), 0o644, &module.content);
    }
    archive.file("init", 0o755, init_script(modules).as_bytes());
    archive.finish()
}

fn init_script(modules: &[Module]) -> String {
    let files: Vec<_> = modules.iter().map(|module| module.file.as_str()).collect();
    INIT_TEMPLATE.replace("@MODULES@", &files.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Vec<Module> {
        ["virtio_ring.ko", "virtio.ko"]
            .map(|file| Module { file: file.to_owned(), content: b"module".to_vec() })
            .into()
    }

    #[test]
    fn the_script_loads_the_modules_in_order() {
        let script = init_script(&modules());
        assert!(script.contains("for module in virtio_ring.ko virtio.ko; do"));
        assert!(!script.contains('@'));
    }

    #[test]
    fn the_archive_holds_a_console_before_anything_runs() {
        let bytes = archive(b"busybox", &modules());
        let text = String::from_utf8_lossy(&bytes);
        let at = |name: &str| text.find(name).unwrap_or_else(|| panic!("{name} is there"));
        assert!(at("dev/console\0") < at("bin/busybox\0"));
        assert!(at("modules/virtio_ring.ko\0") < at("init\0"));
        assert!(at("init\0") < at("TRAILER!!!\0"));
    }
}
