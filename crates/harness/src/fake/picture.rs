//! The host at a moment, in lines that two moments can be compared by.

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8Path;
use engine::layout::{Layout, machine_file};
use engine::record::Machine;

use super::disk::Entry;
use super::process::Process;
use super::world::{State, World};

/// What is on a host: files, slots, processes, cgroups and records, without what differs between two runs of the same work
/// (pids, times, operation ids, how far guests have come). The artifact cache and closed operations are left out: they may
/// grow whatever comes of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    lines: BTreeSet<String>,
}

impl Picture {
    /// The host now.
    pub fn take(world: &World, layout: &Layout) -> Self {
        let state = world.lock();
        let mut lines = BTreeSet::new();
        lines.extend(files(&state, layout));
        lines.extend(state.processes.values().map(process));
        let known: BTreeSet<_> =
            state.processes.values().map(|process| &process.spec.launch.operation).collect();
        lines.extend(
            state
                .cgroups
                .iter()
                .filter(|group| !known.contains(group))
                .map(|group| format!("cgroup of {group} without a process")),
        );
        let filled: BTreeSet<_> = state
            .rows
            .machines
            .values()
            .filter_map(|machine| Some(&machine.filling.as_ref()?.place.operation))
            .collect();
        let orphans = state.fillings.keys().filter(|operation| !filled.contains(operation));
        lines.extend(orphans.map(|operation| format!("filling {operation} of no machine")));
        lines.extend(state.slots.iter().map(|(index, slot)| {
            format!("slot {index} whole {} open {:?}", slot.is_whole, slot.open)
        }));
        lines.extend(state.relays.iter().map(|(port, relay)| {
            format!("port {port} leads to {} of slot {}", relay.guest_port, relay.slot)
        }));
        lines.extend(state.rows.published_ports.values().map(|port| {
            let (id, machine) = (&port.id, &port.machine);
            format!("published port {id} of {machine}: {} at {}", port.port, port.host_port)
        }));
        lines.extend(state.rows.machines.values().map(machine));
        lines.extend(state.rows.volumes.values().map(|volume| {
            let attached = volume.attached.as_ref().map_or("nobody", |machine| machine.as_str());
            format!("volume {} of {} bytes, attached to {attached}", volume.id, volume.size_bytes)
        }));
        lines.extend(state.rows.snapshots.values().map(|snapshot| {
            let files: Vec<String> = snapshot
                .artifacts
                .iter()
                .map(|file| format!("{} {}", file.artifact, file.sha256.is_some()))
                .collect();
            let id = &snapshot.origin.snapshot;
            let has_form = snapshot.chunked.is_some();
            format!("snapshot {id} {:?} {} form {has_form}", snapshot.state, files.join(", "))
        }));
        lines.extend(state.rows.open().map(|operation| {
            format!("operation {} {} is open", operation.id, operation.plan.kind.as_str())
        }));
        // The snapshot of a fork is named by its operation.
        let of_forks = state.rows.snapshots.values().filter(|snapshot| snapshot.is_of_fork);
        let names: Vec<&str> = of_forks.map(|snapshot| snapshot.origin.snapshot.as_str()).collect();
        let plain = |line: String| names.iter().fold(line, |line, name| line.replace(name, "fork"));
        Self { lines: lines.into_iter().map(plain).collect() }
    }

    /// The lines that are here and not there.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.lines.difference(&other.lines).map(String::as_str)
    }

    /// Whether a line begins like this.
    pub fn has(&self, beginning: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(beginning))
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(formatter, "  {line}"))
    }
}

fn files(state: &State, layout: &Layout) -> Vec<String> {
    let cache = layout.artifacts();
    // Shown files are other names of those that are filled: whoever finds them full may take them away, whatever comes of it.
    let is_shown = |path: &Utf8Path| {
        path.ancestors()
            .any(|part| part.ends_with(Utf8Path::new(machine_file::FILLING).join("files")))
    };
    let entries =
        state.disk.entries().filter(|(path, _)| !path.starts_with(&cache) && !is_shown(path));
    entries.map(|(path, entry)| file(state, layout, path, entry)).collect()
}

fn file(state: &State, layout: &Layout, path: &Utf8Path, entry: &Entry) -> String {
    match entry {
        // Sets are named by the operation that made them.
        _ if path.parent().is_some_and(|dir| dir.starts_with(layout.sets())) => {
            let name = path.strip_prefix(layout.sets()).unwrap_or(path);
            let within: Vec<_> = name.components().skip(1).map(|it| it.as_str()).collect();
            format!("{} of a set", within.join("/"))
        }
        Entry::Directory { .. } => format!("directory {path}"),
        // Named by the operation that made it.
        Entry::File(_) if path.parent().is_some_and(|dir| dir.ends_with("mounts")) => {
            format!("a secret beside {}", path.parent().unwrap_or(path))
        }
        // What a guest had done when something went wrong is its own affair.
        Entry::File(_) if path.starts_with(layout.machines()) => format!("file {path}"),
        // What a guest wrote to a volume is its affair too.
        Entry::File(_) if path.starts_with(layout.volumes()) => {
            let size = state.disk.file(path).map(|(_, inode)| inode.size_bytes);
            format!("file {path} of {:?} bytes", size.ok())
        }
        Entry::File(_) => {
            let content = state.disk.file(path).map(|(_, inode)| {
                format!("{} bytes of {}", inode.size_bytes, inode.content.describe())
            });
            format!("file {path}: {}", content.unwrap_or_else(|error| error.chain()))
        }
    }
}

fn process(process: &Process) -> String {
    let guest = &process.guest;
    format!(
        "process of {} in slot {} paused {} frozen {} born as {} identified {} commands {}",
        process.spec.launch.machine,
        process.spec.slot.index,
        process.is_paused,
        guest.is_frozen,
        guest.born,
        guest.identity.is_some(),
        guest.commands.len(),
    )
}

fn machine(machine: &Machine) -> String {
    format!(
        "machine {} {} of {:?} and {} bytes identity {:?} volumes {:?} relays {:?} mounts {:?}",
        machine.id,
        machine.phase.public().as_str(),
        machine.shape,
        machine.storage_bytes,
        machine.identity,
        machine.user_volume_ids,
        machine.relays,
        machine.mounts.iter().map(|mount| mount.id.as_str()).collect::<Vec<_>>(),
    )
}
