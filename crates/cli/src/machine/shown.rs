//! Machines as people see them.

use std::fmt;

use contract::machine::{Identity, Machine, Phase};
use serde::{Serialize, Serializer};

use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::output::{properties, shown_time, table};

/// One machine, to be shown.
#[derive(Debug, Serialize)]
pub(crate) struct ShownMachine {
    pub(crate) machine: Machine,
}

/// A machine that was to run; one that failed is an error.
pub(crate) fn running(machine: Machine) -> Result<ShownMachine, CliError> {
    if machine.phase == Phase::Failed {
        let reason = machine.error.unwrap_or_else(|| "the daemon does not say why".to_owned());
        return Err(CliError::MachineFailed { machine: machine.id, reason });
    }
    Ok(ShownMachine { machine })
}

impl fmt::Display for ShownMachine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        let ports = machine.ports.iter().map(|port| match port.host_port {
            Some(host_port) => {
                format!("{} {} (host port {host_port})", port.name.as_str(), port.port)
            }
            None => format!("{} {}", port.name.as_str(), port.port),
        });
        let volumes = machine.user_volume_ids.iter().map(ToString::to_string);
        properties([
            ("Machine", Some(machine.id.to_string())),
            ("Phase", Some(machine.phase.as_str().to_owned())),
            ("Error", machine.error.clone()),
            ("Address", machine.runtime_host.map(|address| address.to_string())),
            ("Ports", Some(ports.collect::<Vec<_>>().join(", "))),
            ("CPUs", Some(machine.vcpus.to_string())),
            ("Memory", Some(ByteSize::from_mib(machine.memory_mib).to_string())),
            (
                "System volume",
                Some(format!(
                    "{}, {}",
                    machine.system_volume_id,
                    ByteSize::from_bytes(machine.storage_bytes)
                )),
            ),
            ("User volumes", Some(volumes.collect::<Vec<_>>().join(", "))),
            ("Root image", Some(machine.artifact.rootfs_url.as_str().to_owned())),
            ("SSH host key", machine.guest_ssh_host_public_key.clone()),
            ("Identity", machine.identity.map(shown_identity)),
            ("Created", Some(shown_time(machine.created_at))),
            ("Started", machine.started_at.map(shown_time)),
        ])
        .fmt(formatter)
    }
}

fn shown_identity(identity: Identity) -> String {
    match identity {
        Identity::Confirmed => "confirmed",
        Identity::Unconfirmed => "unconfirmed",
    }
    .to_owned()
}

/// Machines, to be shown.
#[derive(Debug)]
pub(crate) enum ShownMachines {
    /// A line each.
    Table(Vec<Machine>),
    /// Only their names.
    Names(Vec<Machine>),
}

impl Serialize for ShownMachines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let (Self::Table(machines) | Self::Names(machines)) = self;
        let mut answer = serializer.serialize_struct("machines", 1)?;
        answer.serialize_field("machines", machines)?;
        answer.end()
    }
}

impl fmt::Display for ShownMachines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(machines) => {
                machines.iter().try_for_each(|machine| writeln!(formatter, "{}", machine.id))
            }
            Self::Table(machines) if machines.is_empty() => {
                formatter.write_str("no machines: make one with `computer create`")
            }
            Self::Table(machines) => {
                let mut table = table(["MACHINE", "PHASE", "ADDRESS", "CPUS", "MEMORY", "CREATED"]);
                for machine in machines {
                    table.add_row([
                        machine.id.to_string(),
                        machine.phase.as_str().to_owned(),
                        machine.runtime_host.map(|address| address.to_string()).unwrap_or_default(),
                        machine.vcpus.to_string(),
                        ByteSize::from_mib(machine.memory_mib).to_string(),
                        shown_time(machine.created_at),
                    ]);
                }
                table.fmt(formatter)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn machine(phase: &str, error: &str) -> Machine {
        serde_json::from_value(json!({
            "id": "box",
            "artifact": {"kernel_image_url": "http://i.example/k", "rootfs_url": "http://i.example/r"},
            "system_volume_id": "box-system", "runtime_host": "10.0.0.2", "phase": phase, "error": error,
            "created_at": "2026-11-24T23:17:00Z", "memory_mib": 512, "vcpus": 2,
        }))
        .unwrap()
    }

    #[test]
    fn a_machine_is_shown_with_what_there_is_to_say() {
        let shown = running(machine("running", "")).unwrap().to_string();
        for word in ["box", "running", "10.0.0.2", "512 MiB", "2026-11-24 23:17 UTC"] {
            assert!(shown.contains(word), "{word} in {shown}");
        }
        assert!(!shown.contains("Error"), "{shown}");
    }

    #[test]
    fn a_machine_that_failed_is_an_error_with_the_reason() {
        let error = running(machine("failed", "the guest panicked")).unwrap_err();
        assert_eq!(error.to_string(), "machine box failed: the guest panicked");
    }

    #[test]
    fn machines_are_listed_as_a_table_as_names_and_as_json() {
        let machines = || vec![machine("running", "")];
        assert!(ShownMachines::Table(machines()).to_string().contains("MACHINE"));
        assert!(ShownMachines::Table(Vec::new()).to_string().contains("no machines"));
        assert_eq!(ShownMachines::Names(machines()).to_string(), "box\n");
        let json = serde_json::to_value(ShownMachines::Table(machines())).unwrap();
        assert_eq!(json["machines"][0]["id"], "box");
    }
}
