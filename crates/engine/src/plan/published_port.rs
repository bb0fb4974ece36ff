//! Plans of published ports: a port of the host that leads to a port of a guest until it is taken back.

use std::collections::HashSet;

use contract::ErrorCode;
use contract::PublishedPortId;
use contract::operation::OperationKind;
use contract::published_port::CreatePublishedPortRequest;

use crate::claim::Claim;
use crate::port::Relay;
use crate::record::{Machine, PublishedPort};
use crate::step::Step;

use super::{Change, Facts, Hold, Plan, Refusal, relay};

/// The longest name of a published port, in bytes; that of one label of a host name, for those that carry HTTP.
const NAME_BYTES: usize = 128;
const LABEL_BYTES: usize = 63;

/// Publishes a port of a machine. It is open when the operation commits, or when the machine runs.
pub fn create(
    machine: &Machine,
    request: &CreatePublishedPortRequest,
    facts: &Facts<'_>,
) -> Result<Plan, Refusal> {
    let id = &request.published_port_id;
    if request.port == 0 {
        return Err(Refusal::new(ErrorCode::Refused, "port must be within 1 and 65535"));
    }
    name_is_sound(request)?;
    for other in facts.ports_of(machine) {
        if other.id == *id {
            let reason = format!("published port {id} of machine {} exists", machine.id);
            return Err(Refusal::new(ErrorCode::Exists, reason));
        }
        let is_same_host = request.http
            && other.is_http
            && match (&request.name, &other.name) {
                (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                (None, None) => request.port == other.port,
                (Some(_), None) | (None, Some(_)) => false,
            };
        if is_same_host {
            let reason =
                format!("published port {} has the host name {}", other.id, other.host_label());
            return Err(Refusal::new(ErrorCode::Exists, reason));
        }
    }
    let host_port = facts.free_port(facts.settings.relays.published, &HashSet::new())?;
    let port = PublishedPort {
        id: id.clone(),
        machine: machine.id.clone(),
        name: request.name.clone(),
        port: request.port,
        host_port,
        is_http: request.http,
        created_at: facts.now,
    };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::CreatePublishedPort,
        resource_id: id.to_string(),
        claims: vec![Claim::add_to_machine(&machine.id), Claim::published_port(&machine.id, id)],
        hold: Hold::UntilCommit,
        prepare: relay::open(machine, Relay { host_port, guest_port: port.port }),
        commit: Change::PublishedPortAdded { port },
        // A guest that became ready meanwhile opened what the records had before the commit.
        finish: vec![Step::ServeRelays { machine: machine.id.clone() }],
    })
}

/// Takes a published port back; its connections end.
pub fn delete(port: &PublishedPort, facts: &Facts<'_>) -> Plan {
    Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::DeletePublishedPort,
        resource_id: port.id.to_string(),
        claims: vec![
            Claim::add_to_machine(&port.machine),
            Claim::published_port(&port.machine, &port.id),
        ],
        hold: Hold::UntilClose,
        prepare: vec![],
        commit: Change::PublishedPortRemoved {
            machine: port.machine.clone(),
            port: port.id.clone(),
        },
        finish: vec![Step::CloseRelay { host_port: port.host_port }],
    }
}

impl Facts<'_> {
    /// The published port of this name, if there is one.
    pub fn published_port(
        &self,
        machine: &contract::MachineId,
        id: &PublishedPortId,
    ) -> Option<&PublishedPort> {
        self.published_ports.iter().find(|port| port.machine == *machine && port.id == *id)
    }

    /// The published ports of a machine, those under way too.
    fn ports_of<'a>(&'a self, machine: &'a Machine) -> impl Iterator<Item = &'a PublishedPort> {
        let planned = self.open.iter().filter_map(|plan| match &plan.commit {
            Change::PublishedPortAdded { port } => Some(port),
            _ => None,
        });
        self.published_ports.iter().chain(planned).filter(|port| port.machine == machine.id)
    }
}

/// Names are for people; those of HTTP ports are part of a host name, in which `--` stands before the machine.
fn name_is_sound(request: &CreatePublishedPortRequest) -> Result<(), Refusal> {
    let Some(name) = &request.name else { return Ok(()) };
    let refuse = |what: &str| Err(Refusal::new(ErrorCode::Refused, what));
    if name.len() > NAME_BYTES || name.chars().any(char::is_control) {
        return refuse("a name has at most 128 bytes and no control characters");
    }
    let is_label = name.len() <= LABEL_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
        && !name.eq_ignore_ascii_case("xn");
    if request.http && !is_label {
        return refuse(
            "the name of an HTTP port is letters, digits and single '-' inside, 63 at most",
        );
    }
    Ok(())
}
