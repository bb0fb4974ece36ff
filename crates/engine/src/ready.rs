//! Waiting for a guest: from a VMM that runs to a machine that is `running`, or `failed` with the reason.
//!
//! With the agent, ready means that it answered and that its identity is confirmed. A clone forwards nothing before that (P8).

use std::time::Duration;

use contract::MachineId;
use contract::machine::{GuestConfig, GuestProtocol, Hostname, Identity};

use crate::apply::reach;
use crate::host::Host;
use crate::phase::{Phase, Run};
use crate::plan::Change;
use crate::port::{Fault, GuestIdentity, Launch, Observation, PortError, Renewal, SshHostKeys};
use crate::record::Machine;
use crate::relay;

/// How much of the console goes into the reason of a failure.
const CONSOLE_TAIL_BYTES: usize = 2048;
/// What must accept where a machine does not say: ssh and vnc, as contract.md fixes it.
const DEFAULT_READY_PORTS: [u16; 2] = [2222, 6080];
/// One try to reach the agent.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// Between two tries, growing to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What a guest with an agent has confirmed.
struct Confirmed {
    agent_version: String,
    ssh_host_public_key: Option<String>,
}

/// Waits until the launch is ready or has failed. `None` when the machine has moved on: it was stopped or deleted meanwhile.
pub async fn await_ready(
    host: &Host,
    id: &MachineId,
    launch: &Launch,
) -> Result<Option<Change>, PortError> {
    let mut pause = FIRST_PAUSE;
    let mut last_word = String::from("the agent has not answered");
    let mut told = Told::Nothing;
    loop {
        let Some((machine, run, left)) = starting(host, id, launch).await? else {
            return Ok(None);
        };
        if let Observation::Ended { reason, .. } =
            host.vmm(launch.vmm)?.observe(launch, &run.handle).await?
        {
            let reason = crate::reconcile::fillings::loss(host, &machine).await?.unwrap_or(reason);
            return failed(host, &machine, &run, format!("the VMM ended: {reason}")).await;
        }
        if left.is_zero() {
            let reason = format!("not ready within its deadline: {last_word}");
            return failed(host, &machine, &run, reason).await;
        }
        match confirm(host, &machine, &run, left, &mut told).await {
            Ok(confirmed) => return ready(host, &machine, &run, confirmed).await.map(Some),
            Err(error) => last_word = error.chain(),
        }
        host.clock.sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until the agent of a launch answers, for a guest that is given no identity.
pub async fn await_agent(
    host: &Host,
    launch: &Launch,
    deadline: Duration,
) -> Result<(), PortError> {
    let vmm = host.vmm(launch.vmm)?;
    let began = host.clock.monotonic();
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_sub(host.clock.monotonic().saturating_sub(began));
        let error = match host.guest.handshake(&reach(launch), HANDSHAKE.min(left)).await {
            Ok(_version) => return Ok(()),
            Err(error) => error,
        };
        if left.is_zero() {
            return Err(error);
        }
        if vmm.wait_ended(launch, pause.min(left)).await? {
            let tail = vmm.console_tail(launch, CONSOLE_TAIL_BYTES).await;
            let action = format!("boot {}: the VMM ended: {}", launch.machine, tail.trim_end());
            return Err(PortError::plain(Fault::Internal, action));
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The machine and how long it still has, while this launch is starting.
async fn starting(
    host: &Host,
    id: &MachineId,
    launch: &Launch,
) -> Result<Option<(Machine, Run, Duration)>, PortError> {
    let Some(machine) = host.journal.machine(id).await? else { return Ok(None) };
    let Phase::Starting { run, deadline } = &machine.phase else { return Ok(None) };
    if run.launch != *launch {
        return Ok(None);
    }
    let left = deadline.duration_since(host.clock.now());
    let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
    let run = run.as_ref().clone();
    Ok(Some((machine, run, left)))
}

/// How far a guest without an agent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It has not answered.
    Nothing,
    /// It knows who it is.
    Itself,
}

/// One try to have the guest confirm who it is. `None` for guests that cannot say.
async fn confirm(
    host: &Host,
    machine: &Machine,
    run: &Run,
    left: Duration,
    told: &mut Told,
) -> Result<Option<Confirmed>, PortError> {
    match machine.guest_protocol {
        GuestProtocol::None => Ok(None),
        GuestProtocol::Mmds => announce(host, machine, run, left, told).await.map(|()| None),
        GuestProtocol::Agent => confirm_by_agent(host, machine, &run.launch, left).await.map(Some),
    }
}

/// Tells it once who it is, lets it speak, and looks whether its services answer.
async fn announce(
    host: &Host,
    machine: &Machine,
    run: &Run,
    left: Duration,
    told: &mut Told,
) -> Result<(), PortError> {
    if *told == Told::Nothing {
        let login = login(host, machine);
        host.guest.announce(&reach(&run.launch), &login, HANDSHAKE.min(left)).await?;
        host.network.open(&run.slot, machine.egress).await?;
        *told = Told::Itself;
    }
    let ports = match machine.ready_ports.as_slice() {
        [] => DEFAULT_READY_PORTS.as_slice(),
        ports => ports,
    };
    for port in ports {
        if !host.network.accepts(&run.slot, *port, HANDSHAKE.min(left)).await? {
            let action = format!("find port {port} of {} accepting", machine.id);
            return Err(PortError::plain(Fault::Absent, action));
        }
    }
    Ok(())
}

async fn confirm_by_agent(
    host: &Host,
    machine: &Machine,
    launch: &Launch,
    left: Duration,
) -> Result<Confirmed, PortError> {
    let reach = reach(launch);
    let identity = GuestIdentity {
        login: login(host, machine),
        machine_id_hex: machine.machine_id_hex.clone(),
        // A clone that never confirmed may be started from its disk later: then its keys are still those of the source.
        ssh_host_keys: match (&machine.restored_from, &machine.ssh_host_public_key) {
            (None, Some(_)) => SshHostKeys::Ensure,
            (Some(_), _) | (None, None) => SshHostKeys::Renew,
        },
    };
    let (agent_version, configured) = if machine.restored_from.is_some() {
        let renewed = host.guest.renew(&reach, &Renewal { identity }, left).await?;
        (renewed.agent_version, renewed.configured)
    } else {
        // A guest that boots is asked often until it answers, and only then told much.
        let agent_version = host.guest.handshake(&reach, HANDSHAKE.min(left)).await?;
        (agent_version, host.guest.configure(&reach, &identity, left).await?)
    };
    Ok(Confirmed { agent_version, ssh_host_public_key: configured.ssh_host_public_key })
}

/// The machine's own login configuration with the daemon's certificate authorities, and a hostname in any case.
fn login(host: &Host, machine: &Machine) -> GuestConfig {
    let mut login = machine.guest_config.clone();
    if login.hostname.is_none() {
        login.hostname = Some(Hostname::from(&machine.id));
    }
    for key in &host.settings.login_ca_public_keys {
        if !login.trusted_user_ca_keys.contains(key) {
            login.trusted_user_ca_keys.push(key.clone());
        }
    }
    login
}

async fn ready(
    host: &Host,
    machine: &Machine,
    run: &Run,
    confirmed: Option<Confirmed>,
) -> Result<Change, PortError> {
    host.network.open(&run.slot, machine.egress).await?;
    // Before the record says `running`: who reads that may connect at once. What is published meanwhile opens with the next step.
    let published = host.journal.published_ports().await?;
    relay::serve(host, machine, run, &published).await;
    let identity = match (&confirmed, &machine.restored_from) {
        (Some(_), _) => Some(Identity::Confirmed),
        (None, Some(_)) => Some(Identity::Unconfirmed),
        (None, None) => None,
    };
    let (agent_version, ssh_host_public_key) = match confirmed {
        Some(confirmed) => (Some(confirmed.agent_version), confirmed.ssh_host_public_key),
        None => (None, None),
    };
    Ok(Change::MachineReady {
        machine: machine.id.clone(),
        launch: run.launch.operation.clone(),
        identity,
        agent_version,
        ssh_host_public_key,
    })
}

/// Ends what runs, unless it is kept for a look. A clone that did not confirm is never kept.
async fn failed(
    host: &Host,
    machine: &Machine,
    run: &Run,
    reason: String,
) -> Result<Option<Change>, PortError> {
    let vmm = host.vmm(run.launch.vmm)?;
    let tail = vmm.console_tail(&run.launch, CONSOLE_TAIL_BYTES).await;
    let reason = match tail.trim_end() {
        "" => reason,
        tail => format!("{reason}\nlast console lines:\n{tail}"),
    };
    let is_kept = host.settings.keep_failed && machine.restored_from.is_none();
    if !is_kept {
        host.guest.forget(&run.launch).await;
        vmm.end(&run.launch).await?;
        host.network.destroy(&run.slot).await?;
    }
    Ok(Some(Change::MachineFailed {
        machine: machine.id.clone(),
        launch: run.launch.operation.clone(),
        at: host.clock.now(),
        reason,
        is_kept,
    }))
}
