//! The command line of QEMU, a pure function of what is to run.
//!
//! All paths are those inside the jail and all descriptors have constant numbers, so two runs of one shape have the same command line:
//! a restore depends on it. Every virtio device has a fixed place, because the guest names disks by it.

use crate::jail::runtime::{self, FIRMWARE_DIR};
use crate::jail::spec::MACHINE_DIR;

use super::shutdown::TRACE_POINT;

/// The listening monitor socket.
pub const MONITOR_DESCRIPTOR: i32 = 3;
/// The listening socket of the agent's channel.
pub const AGENT_DESCRIPTOR: i32 = 4;
/// The tap.
pub const TAP_DESCRIPTOR: i32 = 5;

/// Memory that clones share.
pub const MEMORY_DESCRIPTOR: i32 = 6;

/// The guest's MAC address, the same in every machine: each has a network namespace of its own.
pub const GUEST_MAC: &str = "06:00:ac:10:00:02";

/// How many user disks fit beside the root disk, in the places above the other devices.
pub const MAXIMUM_USER_DISKS: usize = 11;

/// The place of the root disk; user disks lie below. microvm's ACPI tables name the highest place first, and Linux names disks in that order.
const LAST_PLACE: usize = 15;

/// Place 0 is left out: with two I/O APICs its interrupt never reaches a Linux guest, so a device there is found and stays silent.
const RNG_PLACE: usize = 1;
const NETWORK_PLACE: usize = 2;
const CHANNEL_PLACE: usize = 3;

/// Where translated code may grow to under TCG, in MiB: QEMU's default of 1 GiB would be the guest's to fill.
const TRANSLATION_BUFFER_MIB: u32 = 256;

/// What executes guest code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU's translator.
    Tcg,
    /// Hardware virtualisation.
    Kvm,
}

impl Accelerator {
    /// Its name in QEMU and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }

    /// The guest's CPU. Under TCG a fixed one, the same on every host and of the x86-64-v2 level that distributions ask for; `max` boots slower.
    pub fn cpu_model(self) -> &'static str {
        match self {
            Self::Tcg => "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand",
            Self::Kvm => "host",
        }
    }
}

/// How guest RAM is mapped from its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryMapping {
    /// Writes go to the file; a snapshot clones it.
    Shared,
    /// Writes stay with the process; the rest is what all clones share under [`MEMORY_DESCRIPTOR`].
    Private,
}

/// How the machine begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// From a kernel.
    Kernel {
        /// Whether there is an initial RAM disk.
        has_initrd: bool,
        /// The kernel's whole command line.
        arguments: String,
    },
    /// From device state that the monitor will name.
    Incoming,
}

/// A QEMU to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// What executes guest code.
    pub accelerator: Accelerator,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Guest RAM in MiB.
    pub memory_mib: u64,
    /// How guest RAM is mapped.
    pub mapping: MemoryMapping,
    /// The root disk and the user disks.
    pub disks: usize,
    /// Whether a tap is handed over.
    pub has_tap: bool,
    /// The serial number of the root disk, at most 20 characters: the one thing of a run that its guest can ask for at any time, so
    /// that a frozen guest can tell whether it is a clone by now. It is no part of the device state.
    pub run_mark: String,
    /// How it begins.
    pub start: Start,
}

impl CommandLine {
    /// The arguments, without the program's name.
    pub fn arguments(&self) -> Vec<String> {
        let mut line = Line::default();
        self.machine(&mut line);
        self.start(&mut line);
        channels(&mut line);
        self.devices(&mut line);
        line.option("-trace", TRACE_POINT);
        line.option(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
        line.0
    }

    fn machine(&self, line: &mut Line) {
        line.flag("-nodefaults").flag("-no-user-config").flag("-no-reboot");
        line.option("-display", "none").option("-L", runtime::inside(FIRMWARE_DIR).as_str());
        line.option("-cpu", self.accelerator.cpu_model());
        match self.accelerator {
            Accelerator::Tcg => {
                line.option("-accel", &format!("tcg,thread=multi,tb-size={TRANSLATION_BUFFER_MIB}"))
            }
            Accelerator::Kvm => line.option("-accel", "kvm"),
        };
        let memory_mib = self.memory_mib;
        line.option("-m", &memory_mib.to_string()).option("-smp", &self.vcpus.to_string());
        let (path, share) = match self.mapping {
            MemoryMapping::Shared => (inside(MEMORY_NAME), "on"),
            MemoryMapping::Private => (format!("/proc/self/fd/{MEMORY_DESCRIPTOR}"), "off"),
        };
        line.option(
            "-object",
            &format!("memory-backend-file,id=mem,size={memory_mib}M,mem-path={path},share={share}"),
        );
        line.option("-M", "microvm,rtc=on,memory-backend=mem");
    }

    /// A restore needs no kernel, but the firmware that starts one is guest memory too: both kinds, since the state may hold either.
    fn start(&self, line: &mut Line) {
        match &self.start {
            Start::Kernel { has_initrd, arguments } => {
                line.option("-kernel", &inside(KERNEL_NAME));
                if *has_initrd {
                    line.option("-initrd", &inside(INITRD_NAME));
                }
                line.option("-append", arguments);
            }
            Start::Incoming => {
                for firmware in ["linuxboot_dma.bin", "pvh.bin"] {
                    line.option("-option-rom", firmware);
                }
                line.option("-incoming", "defer").flag("-S");
            }
        }
    }

    fn devices(&self, line: &mut Line) {
        line.option("-object", "rng-builtin,id=rng");
        line.option("-device", &format!("virtio-rng-device,rng=rng,bus={}", place(RNG_PLACE)));
        if self.has_tap {
            line.option("-netdev", &format!("tap,id=net,fd={TAP_DESCRIPTOR}"));
            line.option(
                "-device",
                &format!(
                    "virtio-net-device,netdev=net,mac={GUEST_MAC},bus={}",
                    place(NETWORK_PLACE)
                ),
            );
        }
        for disk in 0..self.disks {
            let path = inside(&disk_name(disk));
            let node = node_name(disk);
            line.option(
                "-blockdev",
                &format!("driver=raw,node-name={node},discard=unmap,file.driver=file,file.filename={path}"),
            );
            let serial =
                if disk == 0 { format!(",serial={}", self.run_mark) } else { String::new() };
            let place = place(LAST_PLACE - disk);
            line.option("-device", &format!("virtio-blk-device,drive={node}{serial},bus={place}"));
        }
    }
}

fn channels(line: &mut Line) {
    line.option("-chardev", "stdio,id=console,signal=off").option("-serial", "chardev:console");
    line.option(
        "-chardev",
        &format!("socket,id=monitor,fd={MONITOR_DESCRIPTOR},server=on,wait=off"),
    );
    line.option("-mon", "chardev=monitor,mode=control");
    line.option("-chardev", &format!("socket,id=agent,fd={AGENT_DESCRIPTOR},server=on,wait=off"));
    line.option(
        "-device",
        &format!("virtio-serial-device,id=serial,max_ports=2,bus={}", place(CHANNEL_PLACE)),
    );
    line.option("-device", "virtserialport,bus=serial.0,nr=1,chardev=agent,name=agent.0");
}

/// The kernel inside the jail.
pub const KERNEL_NAME: &str = "kernel";
/// The initial RAM disk inside the jail.
pub const INITRD_NAME: &str = "initrd";
/// Guest RAM inside the jail.
pub const MEMORY_NAME: &str = "memory";

/// A disk inside the jail, counted from the root disk.
pub fn disk_name(index: usize) -> String {
    format!("disk-{index}")
}

/// A disk as QEMU calls it, counted from the root disk.
pub fn node_name(index: usize) -> String {
    format!("disk{index}")
}

fn inside(name: &str) -> String {
    format!("{MACHINE_DIR}/{name}")
}

/// The n-th of microvm's virtio-mmio transports.
fn place(index: usize) -> String {
    format!("virtio-mmio-bus.{index}")
}

/// Arguments as they gather.
#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.to_owned());
        self
    }

    fn option(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.extend([name.to_owned(), value.to_owned()]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booted() -> CommandLine {
        CommandLine {
            accelerator: Accelerator::Tcg,
            vcpus: 2,
            memory_mib: 512,
            mapping: MemoryMapping::Shared,
            disks: 2,
            has_tap: true,
            run_mark: "mark".to_owned(),
            start: Start::Kernel { has_initrd: true, arguments: "console=ttyS0 quiet".to_owned() },
        }
    }

    #[test]
    fn a_booted_machine_has_exactly_this_command_line() {
        let expected = [
            "-nodefaults -no-user-config -no-reboot -display none -L /vmm/share",
            "-cpu qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand -accel tcg,thread=multi,tb-size=256 -m 512 -smp 2",
            "-object memory-backend-file,id=mem,size=512M,mem-path=/machine/memory,share=on",
            "-M microvm,rtc=on,memory-backend=mem",
            "-kernel /machine/kernel -initrd /machine/initrd -append console=ttyS0|quiet",
            "-chardev stdio,id=console,signal=off -serial chardev:console",
            "-chardev socket,id=monitor,fd=3,server=on,wait=off -mon chardev=monitor,mode=control",
            "-chardev socket,id=agent,fd=4,server=on,wait=off",
            "-device virtio-serial-device,id=serial,max_ports=2,bus=virtio-mmio-bus.3",
            "-device virtserialport,bus=serial.0,nr=1,chardev=agent,name=agent.0",
            "-object rng-builtin,id=rng -device virtio-rng-device,rng=rng,bus=virtio-mmio-bus.1",
            "-netdev tap,id=net,fd=5 -device virtio-net-device,netdev=net,mac=06:00:ac:10:00:02,bus=virtio-mmio-bus.2",
            "-blockdev driver=raw,node-name=disk0,discard=unmap,file.driver=file,file.filename=/machine/disk-0",
            "-device virtio-blk-device,drive=disk0,serial=mark,bus=virtio-mmio-bus.15",
            "-blockdev driver=raw,node-name=disk1,discard=unmap,file.driver=file,file.filename=/machine/disk-1",
            "-device virtio-blk-device,drive=disk1,bus=virtio-mmio-bus.14",
            "-trace qemu_system_shutdown_request",
            "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        ];
        let expected: Vec<String> =
            expected.join(" ").split(' ').map(|argument| argument.replace('|', " ")).collect();

        assert_eq!(booted().arguments(), expected);
    }

    #[test]
    fn a_restored_machine_differs_only_in_how_it_begins() {
        let restored = CommandLine { start: Start::Incoming, ..booted() }.arguments();
        let without_start = |arguments: Vec<String>, from: &str, count: usize| {
            let at = arguments.iter().position(|argument| argument == from).unwrap();
            [&arguments[..at], &arguments[at + count..]].concat()
        };

        let begins = restored.iter().position(|argument| argument == "-option-rom").unwrap();
        assert_eq!(
            restored[begins..begins + 7],
            [
                "-option-rom",
                "linuxboot_dma.bin",
                "-option-rom",
                "pvh.bin",
                "-incoming",
                "defer",
                "-S"
            ]
        );
        assert_eq!(
            without_start(restored, "-option-rom", 7),
            without_start(booted().arguments(), "-kernel", 6)
        );
    }

    #[test]
    fn hardware_and_private_memory_are_asked_for_by_name() {
        let line = CommandLine {
            accelerator: Accelerator::Kvm,
            mapping: MemoryMapping::Private,
            ..booted()
        };
        let arguments = line.arguments();
        let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);

        assert!(has("kvm") && has("host"));
        let memory = "memory-backend-file,id=mem,size=512M,mem-path=/proc/self/fd/6,share=off";
        assert!(has(memory), "promise P10: nothing that others map is opened by a name");
    }
}
