//! One case of a sweep: what is arranged, what is done, and the two worlds that may come of it.

use std::fmt;
use std::future::Future;

use engine::layout::Layout;
use engine::record::VmmKind;

use crate::fake::daemon::{HANG, ROOT};
use crate::fake::{FakeDaemon, Fault, Faults, OperateError, Picture};

use super::intent::Intent;
use super::verdict::judge;

/// A plan under test.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is done in peace before.
    pub arrange: Vec<Intent>,
    /// What is swept.
    pub act: Intent,
    /// Under which VMM.
    pub vmm: VmmKind,
    /// The machine that the act restarts. A restart that is cut leaves it stopped: neither as before nor as after.
    pub restarts: Option<&'static str>,
}

/// What goes wrong, life after life. The last life meets no fault.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The faults of each life, from the one that acts.
    pub lives: Vec<Vec<Fault>>,
}

/// The worlds before and after.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// Before the operation.
    pub before: Picture,
    /// After it, when nothing went wrong.
    pub after: Picture,
    /// With the machine that it restarts stopped instead.
    pub cut: Option<Picture>,
}

/// How a trial went.
#[derive(Debug)]
pub struct Report {
    /// How many effects each life that met faults had.
    pub effects: Vec<usize>,
    /// What broke a promise, if anything did.
    pub broken: Option<String>,
}

impl Case {
    /// A case under QEMU.
    pub fn new(arrange: impl Into<Vec<Intent>>, act: Intent) -> Self {
        Self { arrange: arrange.into(), act, vmm: VmmKind::Qemu, restarts: None }
    }

    /// The same case under Firecracker.
    pub fn under_firecracker(self) -> Self {
        Self { vmm: VmmKind::Firecracker, ..self }
    }

    /// A case in which the act restarts a machine.
    pub fn restarting(arrange: impl Into<Vec<Intent>>, act: Intent, machine: &'static str) -> Self {
        Self { restarts: Some(machine), ..Self::new(arrange, act) }
    }

    /// The worlds before and after a run in peace, and the names of its effects.
    pub fn in_peace(&self) -> (Pictures, Vec<String>) {
        block_on(async {
            let daemon = self.arranged().await;
            let before = picture(&daemon);
            let daemon = daemon.next(Faults::default());
            daemon.faults().arm();
            self.act_once(&daemon).await.unwrap_or_else(|error| panic!("in peace: {error:?}"));
            let effects = daemon.faults().passed();
            assert!(daemon.reconcile().await);
            let after = picture(&daemon);
            let cut = match self.restarts {
                Some(machine) => {
                    let daemon = self.arranged().await;
                    let stopped = run(&daemon, &Intent::Stop(machine)).await;
                    stopped.unwrap_or_else(|error| panic!("in peace: {error:?}"));
                    Some(picture(&daemon))
                }
                None => None,
            };
            (Pictures { before, after, cut }, effects)
        })
    }

    /// One trial from an empty world to the verdict.
    pub fn attempt(&self, trial: &Trial, pictures: &Pictures) -> Report {
        block_on(async {
            let mut daemon = self.arranged().await;
            let mut effects = Vec::new();
            for (number, faults) in trial.lives.iter().enumerate() {
                daemon = daemon.next(Faults::new(faults.clone()));
                daemon.faults().arm();
                if number == 0 {
                    // Whatever it answers: the world is judged, not the words.
                    drop(self.act_once(&daemon).await);
                }
                if !daemon.faults().is_dead() {
                    daemon.reconcile().await;
                }
                effects.push(daemon.faults().passed().len());
            }
            if daemon.faults().is_dead() || trial.lives.len() > 1 {
                daemon = daemon.next(Faults::default());
            }
            // What the timer would do: a pass to settle, and one to find nothing left.
            assert!(daemon.reconcile().await && daemon.reconcile().await);
            Report { effects, broken: judge(self, &daemon, pictures).await.err() }
        })
    }

    async fn arranged(&self) -> FakeDaemon {
        let daemon = FakeDaemon::first_with(self.vmm);
        Intent::furnish(&mut daemon.world().lock());
        for intent in &self.arrange {
            run(&daemon, intent).await.unwrap_or_else(|error| panic!("{intent:?}: {error:?}"));
        }
        if let Intent::Retire(name) = &self.act {
            let mut state = daemon.world().lock();
            let launch = state
                .processes
                .values()
                .find(|process| process.spec.launch.machine.as_str() == *name)
                .map(|process| process.spec.launch.operation.clone())
                .expect("it was arranged");
            state.end_process(&launch, false, "killed by signal 9");
        }
        daemon
    }

    async fn act_once(&self, daemon: &FakeDaemon) -> Result<(), OperateError> {
        match &self.act {
            Intent::Retire(_) => {
                let lives = daemon.reconcile().await;
                if lives { Ok(()) } else { Err(OperateError::Died) }
            }
            act => run(daemon, act).await,
        }
    }
}

/// Plans and runs an intent.
pub(super) async fn run(daemon: &FakeDaemon, intent: &Intent) -> Result<(), OperateError> {
    let plan = intent.plan(daemon)?;
    daemon.run(plan).await.map(drop)
}

/// The world of a daemon.
pub(super) fn picture(daemon: &FakeDaemon) -> Picture {
    Picture::take(daemon.world(), &Layout::new(ROOT))
}

impl fmt::Display for Trial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, faults) in self.lives.iter().enumerate() {
            let faults: Vec<String> =
                faults.iter().map(|fault| format!("effect {} {:?}", fault.at, fault.how)).collect();
            write!(formatter, "[life {number}: {}]", faults.join(", "))?;
        }
        Ok(())
    }
}

/// A runtime of its own for each trial: what a dead daemon left waiting ends with it.
fn block_on<T>(trial: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime for a test");
    runtime.block_on(async { tokio::time::timeout(HANG, trial).await }).expect("it hangs")
}
