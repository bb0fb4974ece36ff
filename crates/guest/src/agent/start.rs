//! From the command line to a running agent, and to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::cgroup::{Cgroup, Cgroups};
use super::connect::{self, Access};
use super::exec::SessionTable;
use super::freezer::Freezer;
use super::init::{self, SshServer};
use super::login::{self, Logins};
use super::machine::Machine;
use super::mounts::Mounts;
use super::options::{Options, Role};
use super::places::Places;
use super::reaper::Reaper;
use super::serve::{listen, serve};
use super::shutdown::{Means, Order, Orders};
use crate::framing::Presence;
use crate::limits;
use crate::proto::ShutdownMode;

/// What processes have when the VMM asks init to end (Ctrl-Alt-Del) without saying.
const SIGNAL_GRACE: Duration = Duration::from_secs(5);

/// Threads for blocking work: some for the agent itself, and one for each file call, which may block for long.
const BLOCKING_THREADS: usize = 8 + limits::FILE_CALLS + limits::FILE_STREAMS;
/// Compiling a pattern goes as deep as the pattern is nested.
const BLOCKING_STACK_BYTES: usize = 1 << 20;

/// Why the agent could not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No runtime.
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    /// No signals.
    #[error("listen to signals")]
    Signals(#[source] io::Error),
    /// The server failed.
    #[error("serve the agent's services")]
    Serve(#[source] tonic::transport::Error),
}

/// Runs the agent until it is told to end. As init it ends with the machine.
///
/// # Errors
/// See [`AgentError`].
pub fn run(mut options: Options) -> Result<(), AgentError> {
    let role = if options.no_init { Role::Service } else { Role::of_this_process() };
    if role == Role::Init {
        init::prepare();
        if let Some(port) = init::vsock_port() {
            options.reach_by_vsock(port);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(BLOCKING_STACK_BYTES)
        .build()
        .map_err(AgentError::Runtime)?;
    let outcome = runtime.block_on(run_on(options, role));
    // What still blocks must not keep a process that is to end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn run_on(options: Options, role: Role) -> Result<(), AgentError> {
    let reaper = Reaper::start().map_err(AgentError::Signals)?;
    let mut signals = Signals::listen().map_err(AgentError::Signals)?;
    let cgroups = cgroups(role);
    let presence = Presence::default();
    let means = match options.shutdown_command.clone() {
        _ if role == Role::Init => Means::Init,
        Some(program) => Means::Command(program),
        None => Means::None,
    };
    let (orders, mut ordered) = Orders::new(&means);
    let machine = machine(&options, role, &reaper, cgroups.clone(), &presence, orders);

    let (mut listeners, connections) = listen(&options, &presence);
    let is_for_files = role == Role::Init && init::is_for_files();
    if !is_for_files {
        listeners.spawn(login::serve(machine.clone()));
    }
    if let Some(place) = options.exec_listen.filter(|_| !is_for_files) {
        listeners.spawn(connect::serve(machine.clone(), place));
    }
    if role == Role::Init && !is_for_files {
        let guest = cgroups.as_ref().map(|cgroups| cgroups.guest.clone());
        listeners.spawn(start_guest(machine.clone(), guest));
    }
    let serving = serve(machine, connections);
    let ending = end(&mut ordered, &mut signals, role);
    let order = tokio::select! {
        served = serving => return served.map_err(AgentError::Serve),
        order = ending => order,
    };
    let guest = cgroups.as_ref().map(|cgroups| &cgroups.guest);
    if let Some(order) = order {
        // The answer to a Shutdown call leaves first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        means.carry_out(order, guest, &reaper);
    }
    // An init does not come here: the machine has ended.
    leave(cgroups.as_ref());
    Ok(())
}

fn machine(
    options: &Options,
    role: Role,
    reaper: &Reaper,
    cgroups: Option<Cgroups>,
    presence: &Presence,
    orders: Orders,
) -> Arc<Machine> {
    let places = Places::new(options.root.clone(), options.workspace.clone());
    let guest = cgroups.as_ref().map(|cgroups| cgroups.guest.clone());
    Arc::new(Machine {
        sessions: SessionTable::new(places.clone(), reaper.clone(), guest.clone()),
        mounts: Mounts::new(
            places.clone(),
            options.login_user.clone(),
            reaper.clone(),
            guest.as_ref(),
        ),
        freezer: Freezer::new(guest, presence.clone()),
        places,
        login_user: options.login_user.clone(),
        role,
        reaper: reaper.clone(),
        cgroups,
        exec_access: Access::default(),
        ssh_server: SshServer::default(),
        logins: Logins::default(),
        orders,
        renewals: AtomicU64::new(0),
    })
}

fn cgroups(role: Role) -> Option<Cgroups> {
    let made = match role {
        Role::Init => Cgroups::of_init(),
        Role::Service => Cgroups::of_service(),
    };
    made.inspect_err(|error| tracing::warn!(%error, "no cgroups: nothing can be frozen")).ok()
}

/// What a guest has beside its agent.
async fn start_guest(machine: Arc<Machine>, guest: Option<Cgroup>) {
    init::bring_up_network().await;
    init::ready_disks().await;
    let cgroup = guest.map(|guest| guest.child("sshd")).transpose();
    let cgroup = cgroup.unwrap_or_else(|error| {
        tracing::warn!(%error, "the SSH server runs in the agent's own cgroup");
        None
    });
    let server = machine.ssh_server.clone();
    server.supervise(&machine, cgroup).await;
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    power: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            power: signal(SignalKind::from_raw(libc::SIGPWR))?,
        })
    }
}

/// The order to carry out, or none when an agent that is no init is told to leave.
async fn end(
    ordered: &mut mpsc::Receiver<Order>,
    signals: &mut Signals,
    role: Role,
) -> Option<Order> {
    let mode = tokio::select! {
        order = ordered.recv() => return order,
        _ = signals.interrupt.recv() => ShutdownMode::Reboot,
        _ = signals.terminate.recv() => ShutdownMode::Reboot,
        _ = signals.power.recv() => ShutdownMode::PowerOff,
    };
    (role == Role::Init).then_some(Order { mode, grace: SIGNAL_GRACE })
}

/// Ends what this agent started, and leaves nothing behind.
fn leave(cgroups: Option<&Cgroups>) {
    const DEADLINE: Duration = Duration::from_secs(2);
    let Some(cgroups) = cgroups else { return };
    let outcome = cgroups.end_all(std::time::Instant::now() + DEADLINE);
    if let Err(error) = outcome {
        tracing::warn!(%error, "left processes or cgroups behind");
    }
}
