//! One machine: what it is made of, whether it runs, and the thread that is its CPU.

use std::fs::OpenOptions;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use super::agent::Agent;
use super::answer::with;
use super::configuration::Configuration;
use super::guest::Guest;
use super::memory::Memory;
use super::vsock::Vsock;

/// The time that the guest takes for one count.
const TICK: Duration = Duration::from_millis(2);

/// Whether a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunState {
    Running,
    Paused,
}

/// A machine that was booted or restored. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Machine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// What the lock holds.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) configuration: Configuration,
    pub(super) guest: Guest,
    pub(super) state: RunState,
    pub(super) vsock: Option<Vsock>,
    agent: Option<Agent>,
}

impl Machine {
    /// Boots what is configured; its guest runs.
    pub(super) fn boot(configuration: Configuration) -> Result<Self, String> {
        let source = configuration.boot_source.clone().ok_or("Missing boot source")?;
        if let Some(objection) = configuration.objection() {
            return Err(objection);
        }
        let kernel = std::fs::read(&source.kernel_image_path).map_err(with(format!(
            "The kernel file cannot be opened: {}",
            source.kernel_image_path
        )))?;
        let initrd = source.initrd_path.as_ref().map(|path| {
            std::fs::read(path).map_err(with(format!("The initrd file cannot be opened: {path}")))
        });
        let machine = &configuration.machine_config;
        let memory = Memory::empty(machine.mem_size_mib << 20, machine.track_dirty_pages);
        let disks = open_disks(&configuration)?;
        let mut guest = Guest::load(memory, disks, &kernel, initrd.transpose()?.as_deref())?;
        check_interfaces(&configuration)?;
        let vsock = Vsock::listen_for(&configuration)?;
        guest.begin(&mut io::stdout()).map_err(with("The guest cannot begin"))?;
        Self::begin(configuration, guest, vsock, RunState::Running)
    }

    /// Makes a machine of a snapshot; its guest stands still.
    pub(super) fn restore(configuration: Configuration, memory: Memory) -> Result<Self, String> {
        let guest = Guest { memory, disks: open_disks(&configuration)? };
        check_interfaces(&configuration)?;
        let vsock = Vsock::listen_for(&configuration)?;
        Self::begin(configuration, guest, vsock, RunState::Paused)
    }

    fn begin(
        configuration: Configuration,
        guest: Guest,
        vsock: Option<Vsock>,
        state: RunState,
    ) -> Result<Self, String> {
        let vcpus = configuration.machine_config.vcpu_count;
        let agent = match guest.has_agent() {
            Ok(true) => Some(Agent::start().map_err(with("The agent cannot be started"))?),
            Ok(false) => None,
            Err(error) => return Err(with("The guest cannot be read")(error)),
        };
        if let (Some(agent), RunState::Paused) = (&agent, state) {
            agent.hold(true).map_err(with("The agent cannot be stopped"))?;
        }
        let inner = Inner { configuration, guest, state, vsock, agent };
        let machine = Self(Arc::new(Shared { inner: Mutex::new(inner), changed: Condvar::new() }));
        if let Some(vsock) = &machine.lock().vsock {
            vsock.serve(machine.clone()).map_err(with("Vsock cannot be served"))?;
        }
        // Only the first one counts; the others are there to be seen.
        for number in 0..vcpus {
            let machine = machine.clone();
            std::thread::Builder::new()
                .name(format!("fc_vcpu {number}"))
                .spawn(move || if number == 0 { machine.count() } else { machine.idle() })
                .map_err(with("A vCPU thread cannot be started"))?;
        }
        Ok(machine)
    }

    /// All of it, for as long as the guard lives; the guest does nothing meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops or runs the guest; either twice is fine.
    pub(super) fn set(&self, state: RunState) -> io::Result<()> {
        let mut inner = self.lock();
        if let Some(agent) = &inner.agent {
            agent.hold(state == RunState::Paused)?;
        }
        inner.state = state;
        self.0.changed.notify_all();
        Ok(())
    }

    /// Waits until the guest runs.
    pub(super) fn wait_running(&self) -> MutexGuard<'_, Inner> {
        let is_paused = |inner: &mut Inner| inner.state == RunState::Paused;
        self.0.changed.wait_while(self.lock(), is_paused).unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) {
        loop {
            let mut inner = self.wait_running();
            if let Err(error) = inner.guest.tick(&mut io::stdout()) {
                eprintln!("the guest cannot go on: {error}");
                std::process::exit(1);
            }
            let ended = inner.agent.as_mut().map(Agent::ended);
            if matches!(ended, Some(Ok(Some(_)))) {
                std::process::exit(0);
            }
            // A pause ends this wait, and a resume too: a guest that is asked often counts a little faster.
            let waited = self.0.changed.wait_timeout(inner, TICK);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn idle(&self) {
        let never = self.0.changed.wait_while(self.lock(), |_inner| true);
        drop(never);
    }
}

fn open_disks(configuration: &Configuration) -> Result<Vec<std::fs::File>, String> {
    let open = |drive: &super::configuration::Drive| {
        let path = &drive.path_on_host;
        let opened = OpenOptions::new().read(true).write(!drive.is_read_only).open(path);
        opened.map_err(with(format!("Error manipulating the backing file {path}")))
    };
    configuration.drives.iter().map(open).collect()
}

/// A tap that is absent is none that an unprivileged process could make.
fn check_interfaces(configuration: &Configuration) -> Result<(), String> {
    for interface in &configuration.network_interfaces {
        let name = &interface.host_dev_name;
        socket(AddressFamily::INET, SocketType::DGRAM, None)
            .and_then(|socket| name_to_index(&socket, name))
            .map_err(|error| format!("Open tap device failed: {name}: {error}"))?;
    }
    Ok(())
}
