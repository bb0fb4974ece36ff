//! Ports of the host for machines: reserved with the record, before anything listens on them.
//!
//! A port is free when no record and no open plan has it and nobody listens on it. Whoever else listens on a port of ours is
//! skipped: the machine gets another one.

use std::collections::HashSet;

use contract::ErrorCode;
use contract::operation::OperationKind;
use contract::port::PortName;

use crate::claim::Claim;
use crate::phase::{Phase, Run};
use crate::port::Relay;
use crate::record::{Machine, PortRange, RelayPort};
use crate::step::Step;

use super::{Change, Facts, Hold, MovedPort, Plan, Refusal};

/// The relays that every machine has.
const ALWAYS: [PortName; 2] = [PortName::Ssh, PortName::Vnc];

/// Gives a machine one more relay, such as that to the exec port, for as long as it exists. The caller has seen to machines
/// that have it. It is open when the operation commits, or when the machine runs.
pub fn add(machine: &Machine, name: PortName, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    let host_port = facts.free_port(facts.range_of(name), &HashSet::new())?;
    let relay = RelayPort { name, host_port };
    let leads = Relay { host_port, guest_port: name.guest_port() };
    Ok(Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::OpenExecRelay,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::add_to_machine(&machine.id)],
        hold: Hold::UntilCommit,
        prepare: open(machine, leads),
        commit: Change::RelayAdded { machine: machine.id.clone(), relay },
        finish: vec![Step::ServeRelays { machine: machine.id.clone() }],
    })
}

/// Gives relays of a running machine other ports, since somebody else listens on theirs. `None` when none of its ports is
/// among `taken` any more.
pub fn move_away(
    machine: &Machine,
    run: &Run,
    taken: &[u16],
    facts: &Facts<'_>,
) -> Result<Option<Plan>, Refusal> {
    let ranges = facts.settings.relays;
    let relays = machine
        .relays
        .iter()
        .map(|relay| (relay.host_port, relay.name.guest_port(), facts.range_of(relay.name)));
    let published = facts.published_ports.iter().filter(|port| port.machine == machine.id);
    let published = published.map(|port| (port.host_port, port.port, ranges.published));
    let mut chosen = HashSet::new();
    let mut prepare = Vec::new();
    let mut moved = Vec::new();
    for (from, guest_port, range) in relays.chain(published) {
        if taken.contains(&from) {
            let to = facts.free_port(range, &chosen)?;
            chosen.insert(to);
            let relay = Relay { host_port: to, guest_port };
            prepare.push(Step::OpenRelay { slot: run.slot.clone(), relay });
            moved.push(MovedPort { from, to });
        }
    }
    Ok((!moved.is_empty()).then(|| Plan {
        operation: facts.operation.clone(),
        kind: OperationKind::MovePorts,
        resource_id: machine.id.to_string(),
        claims: vec![Claim::add_to_machine(&machine.id)],
        hold: Hold::UntilCommit,
        prepare,
        commit: Change::PortsMoved { machine: machine.id.clone(), moved },
        finish: vec![],
    }))
}

/// The step that opens a relay, where there is a guest that is ready for it.
pub(super) fn open(machine: &Machine, relay: Relay) -> Vec<Step> {
    match &machine.phase {
        Phase::Running { run } => vec![Step::OpenRelay { slot: run.slot.clone(), relay }],
        Phase::Starting { .. } | Phase::Stopped { .. } | Phase::Failed { .. } => vec![],
    }
}

impl Facts<'_> {
    /// The relays of a machine that is to be started. What it has it keeps, unless somebody listens there: while it is
    /// stopped that is nobody of ours.
    pub(super) fn relays_for_start(&self, had: &[RelayPort]) -> Result<Vec<RelayPort>, Refusal> {
        let mut chosen = HashSet::new();
        let missing = ALWAYS.iter().filter(|name| had.iter().all(|relay| relay.name != **name));
        let had = had.iter().map(|relay| (relay.name, Some(relay.host_port)));
        had.chain(missing.map(|name| (*name, None)))
            .map(|(name, host_port)| {
                let host_port = match host_port.filter(|port| !self.listening.contains(port)) {
                    Some(kept) => kept,
                    None => self.free_port(self.range_of(name), &chosen)?,
                };
                chosen.insert(host_port);
                Ok(RelayPort { name, host_port })
            })
            .collect()
    }

    /// The lowest port of the range that nobody has, listens on or is `chosen`; 429 when there is none.
    pub(super) fn free_port(
        &self,
        range: PortRange,
        chosen: &HashSet<u16>,
    ) -> Result<u16, Refusal> {
        let reserved: HashSet<u16> = self.reserved_ports().collect();
        let is_free = |port: &u16| {
            !reserved.contains(port) && !chosen.contains(port) && !self.listening.contains(port)
        };
        range.ports().find(is_free).ok_or_else(|| {
            let PortRange { first, last } = range;
            let reason = format!("every port of the host from {first} to {last} is in use");
            Refusal::new(ErrorCode::TooManyRequests, reason)
        })
    }

    fn reserved_ports(&self) -> impl Iterator<Item = u16> + '_ {
        let planned = self.open.iter().flat_map(|plan| plan.commit.host_ports());
        let relays = self.machines.iter().flat_map(|machine| &machine.relays);
        let published = self.published_ports.iter().map(|port| port.host_port);
        relays.map(|relay| relay.host_port).chain(published).chain(planned)
    }

    fn range_of(&self, name: PortName) -> PortRange {
        let ranges = &self.settings.relays;
        match name {
            PortName::Ssh => ranges.ssh,
            PortName::Vnc => ranges.vnc,
            PortName::Exec => ranges.exec,
        }
    }
}
