//! A daemon on the fake host: the engine's runner over one life, as `computerd` wires it over the real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use camino::Utf8Path;
use contract::OperationId;
use engine::layout::Layout;
use engine::plan::{
    Capacity, Change, Deadlines, Defaults, Facts, Overcommit, Plan, Refusal, Settings,
};
use engine::reconcile::{Mint, reconcile};
use engine::record::{Operation, OperationError, VmmKind};
use engine::runner::{Runner, StartError, Ticket};

use super::faults::Faults;
use super::journal_rows::Rows;
use super::life::Life;
use super::world::World;

/// The root of every daemon of the fake host.
pub const ROOT: &str = "/root";

/// Operation ids, never one twice, over all lives.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Mint for Counter {
    fn operation_id(&self) -> OperationId {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        OperationId::from_parts(number, [0; 10])
    }
}

/// Why an operation of a test did not commit.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// It was refused.
    #[error("refused")]
    Refused(#[from] Refusal),
    /// It did not begin.
    #[error("not begun")]
    NotBegun(#[from] StartError),
    /// It failed.
    #[error("failed: {}", .0.reason)]
    Failed(OperationError),
    /// The daemon died meanwhile.
    #[error("the daemon died")]
    Died,
}

/// One daemon, one life.
#[derive(Clone)]
pub struct FakeDaemon {
    life: Life,
    runner: Runner,
    counter: Arc<Counter>,
}

impl FakeDaemon {
    /// The first daemon of a new host with QEMU.
    pub fn first() -> Self {
        Self::first_with(VmmKind::Qemu)
    }

    /// The first daemon of a new host with this VMM.
    pub fn first_with(vmm: VmmKind) -> Self {
        let world = Arc::new(World::new(Utf8Path::new(ROOT)));
        Self::start(&world, Faults::default(), Arc::default(), vmm)
    }

    /// The next daemon on the same host, after this one ended or died.
    pub fn next(&self, faults: Faults) -> Self {
        Self::start(self.life.world(), faults, Arc::clone(&self.counter), self.vmm())
    }

    fn start(world: &Arc<World>, faults: Faults, counter: Arc<Counter>, vmm: VmmKind) -> Self {
        let life = Life::begin(world, Arc::new(faults));
        let runner = Runner::new(life.host(&Arc::new(settings(vmm))));
        Self { life, runner, counter }
    }

    /// The VMM of its machines.
    pub fn vmm(&self) -> VmmKind {
        self.runner.host().settings.vmm
    }

    /// The host.
    pub fn world(&self) -> &World {
        self.life.world()
    }

    /// What goes wrong in this life.
    pub fn faults(&self) -> &Faults {
        self.life.faults()
    }

    /// The engine.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Plans over the facts of this moment.
    pub fn plan(
        &self,
        plan: impl FnOnce(&Rows, &Facts<'_>) -> Result<Plan, Refusal>,
    ) -> Result<Plan, Refusal> {
        let (rows, now, listening) = {
            let state = self.world().lock();
            let ours = state.relays.keys().copied();
            let listening = ours.chain(state.foreign_listeners.iter().copied()).collect();
            (state.rows.clone(), state.now(), listening)
        };
        let machines: Vec<_> = rows.machines.values().cloned().collect();
        let snapshots: Vec<_> = rows.snapshots.values().cloned().collect();
        let volumes: Vec<_> = rows.volumes.values().cloned().collect();
        let published_ports: Vec<_> = rows.published_ports.values().cloned().collect();
        let open: Vec<_> = rows.open().cloned().filter_map(Operation::reserving).collect();
        let operation = self.counter.operation_id();
        let facts = Facts {
            settings: &self.runner.host().settings,
            machines: &machines,
            snapshots: &snapshots,
            volumes: &volumes,
            published_ports: &published_ports,
            listening: &listening,
            open: &open,
            capacity: capacity(),
            now,
            random: u128::from(self.counter.0.load(Ordering::Relaxed)),
            operation,
        };
        plan(&rows, &facts)
    }

    /// Begins an operation.
    pub async fn begin(&self, plan: Plan) -> Result<Ticket, OperateError> {
        let operation = Operation::new(plan, self.world().lock().now());
        tokio::select! {
            biased;
            () = self.faults().died() => Err(OperateError::Died),
            started = self.runner.start(operation) => Ok(started?),
        }
    }

    /// Runs an operation until it is closed, or undone, or left to the reconciler.
    pub async fn run(&self, plan: Plan) -> Result<Change, OperateError> {
        let mut ticket = self.begin(plan).await?;
        let closed = async {
            let change = ticket.closed().await;
            self.quiet().await;
            change
        };
        tokio::select! {
            biased;
            () = self.faults().died() => Err(OperateError::Died),
            change = closed => change.map_err(OperateError::Failed),
        }
    }

    /// Waits until no task of this daemon works on an open operation: each is closed, or left to the reconciler.
    pub async fn quiet(&self) {
        let is_worked_on = || {
            let open: Vec<OperationId> =
                self.world().lock().rows.open().map(|operation| operation.id.clone()).collect();
            open.iter().any(|operation| self.runner.is_active(operation))
        };
        while is_worked_on() {
            tokio::task::yield_now().await;
        }
    }

    /// One pass of the reconciler with all that it sets going. False when the daemon died meanwhile.
    pub async fn reconcile(&self) -> bool {
        let pass = async {
            reconcile(&self.runner, self.counter.as_ref()).await;
            self.quiet().await;
        };
        tokio::select! {
            biased;
            () = self.faults().died() => false,
            () = pass => true,
        }
    }
}

impl std::fmt::Debug for FakeDaemon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FakeDaemon").field("life", &self.life).finish_non_exhaustive()
    }
}

fn settings(vmm: VmmKind) -> Settings {
    Settings {
        layout: Layout::new(ROOT),
        host_id: "00000000".into(),
        addresses: engine::testing::block(),
        first_uid: 200_000,
        relays: engine::testing::relays(),
        vmm,
        defaults: Defaults { vcpus: 2, memory_mib: 256, storage_bytes: 2 << 30 },
        overcommit: Overcommit { memory: 1.0, disk: 1.0 },
        deadlines: Deadlines {
            start_ms: 120_000,
            stop_ms: 10_000,
            agent_ms: 2_000,
            self_thaw_ms: 60_000,
        },
        image_dirs: vec!["/images".into()],
        login_ca_public_keys: vec![],
        keep_failed: false,
        may_raise_limits: true,
    }
}

fn capacity() -> Capacity {
    Capacity { memory_bytes: 64 << 30, disk_bytes: 1 << 40, disk_free_bytes: 1 << 40 }
}

/// A deadline for whatever a test waits for: the world's clock is free, so only a hang reaches it.
pub const HANG: Duration = Duration::from_secs(20);
