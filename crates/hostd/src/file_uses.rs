//! Who needs the files of stopped machines, and for how much longer their guests stay up.
//!
//! ```text
//!  a request: none there -> starts the operation -+
//!             one there  -> enters ---------------+-> Use ... dropped
//!  the operation, when its guest is up: serves until nobody has used it for a while, or is told to hurry -> goes down
//! ```

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::MachineId;
use engine::port::Launch;
use engine::runner::Ticket;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long a guest stays up for a next request: longer than programs think between two.
const IDLE: Duration = Duration::from_secs(8);
/// How long it stays up at most.
const MOST: Duration = Duration::from_secs(3600);

/// The stopped machines whose files are reached. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FileUses {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    idle: Duration,
    machines: Mutex<HashMap<MachineId, Entry>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    ticket: Option<Ticket>,
    /// The guest, while it may be entered.
    serving: Option<Launch>,
    users: usize,
    /// When the last user left.
    unused_since: Option<Instant>,
    is_hurried: bool,
}

/// A request that needs the files, until it is dropped.
#[derive(Debug)]
pub struct Use {
    uses: FileUses,
    machine: MachineId,
    /// The guest that serves them.
    pub launch: Launch,
}

/// What a request finds.
#[derive(Debug)]
pub enum Found {
    /// It may go in.
    Entered(Use),
    /// A guest goes up or down; look again when told.
    Changing,
    /// None is there, and the caller is the one to start it: it says so with [`FileUses::started`] or [`FileUses::gone`].
    Nobody,
}

impl Default for FileUses {
    fn default() -> Self {
        Self::new(IDLE)
    }
}

impl FileUses {
    /// Guests that nobody uses stay up for so long.
    fn new(idle: Duration) -> Self {
        let (machines, changed) = (Mutex::default(), Notify::default());
        Self { shared: Arc::new(Shared { idle, machines, changed }) }
    }

    /// Goes in, or finds out what to do.
    pub fn enter(&self, machine: &MachineId) -> Found {
        let mut machines = self.lock();
        let Some(entry) = machines.get_mut(machine) else {
            machines.insert(machine.clone(), Entry::default());
            return Found::Nobody;
        };
        match &entry.serving {
            Some(launch) if !entry.is_hurried => {
                let launch = launch.clone();
                entry.users += 1;
                Found::Entered(Use { uses: self.clone(), machine: machine.clone(), launch })
            }
            Some(_) | None => Found::Changing,
        }
    }

    /// The operation that boots the guest has begun.
    pub fn started(&self, machine: &MachineId, ticket: Ticket) {
        if let Some(entry) = self.lock().get_mut(machine) {
            entry.ticket = Some(ticket.clone());
        }
        let (uses, machine, mut ticket) = (self.clone(), machine.clone(), ticket);
        tokio::spawn(async move {
            // However it ended: the machine is free again, or the reconciler's.
            drop(ticket.closed().await);
            uses.gone(&machine);
        });
    }

    /// Nothing is there any more.
    pub fn gone(&self, machine: &MachineId) {
        self.lock().remove(machine);
        self.shared.changed.notify_waiters();
    }

    /// Waits until something may have changed, at most so long.
    pub async fn changed(&self, patience: Duration) {
        // What changes before this is seen when the patience is over.
        let told = tokio::time::timeout(patience, self.shared.changed.notified());
        drop(told.await);
    }

    /// Serves until nobody needs the guest any more. Nobody needs one that an earlier daemon booted.
    pub async fn serve(&self, launch: &Launch) {
        {
            let mut machines = self.lock();
            let Some(entry) = machines.get_mut(&launch.machine) else { return };
            entry.serving = Some(launch.clone());
            entry.unused_since = Some(Instant::now());
        }
        self.shared.changed.notify_waiters();
        let most = Instant::now() + MOST;
        loop {
            // Listening before looking: what changes in between is not missed.
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let Some(until) = self.needed_until(launch, most) else { return };
            drop(timeout_at(until, changed).await);
        }
    }

    /// Ends a guest that nobody is using, and waits until the machine is free. At once when there is none.
    pub async fn hurry(&self, machine: &MachineId, patience: Duration) {
        let ticket = {
            let mut machines = self.lock();
            let Some(entry) = machines.get_mut(machine) else { return };
            entry.is_hurried = true;
            entry.ticket.clone()
        };
        self.shared.changed.notify_waiters();
        if let Some(mut ticket) = ticket {
            drop(tokio::time::timeout(patience, ticket.closed()).await);
        }
    }

    /// When to look again; `None` when it is over, and from then on nobody enters.
    fn needed_until(&self, launch: &Launch, most: Instant) -> Option<Instant> {
        let mut machines = self.lock();
        let entry = machines.get_mut(&launch.machine)?;
        let now = Instant::now();
        let idle = entry.unused_since.map_or(now, |since| since + self.shared.idle);
        let is_over = entry.users == 0 && (entry.is_hurried || now >= idle);
        if is_over || now >= most {
            entry.serving = None;
            return None;
        }
        // Users are told of by their leaving; this is for what is missed in between.
        let next = if entry.users == 0 { idle } else { now + self.shared.idle };
        Some(next.min(most))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MachineId, Entry>> {
        self.shared.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if let Some(entry) = self.uses.lock().get_mut(&self.machine) {
            entry.users = entry.users.saturating_sub(1);
            entry.unused_since = Some(Instant::now());
        }
        self.uses.shared.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> (MachineId, Launch) {
        let launch = engine::testing::run("box").launch;
        (launch.machine.clone(), launch)
    }

    const IDLE: Duration = Duration::from_millis(40);

    async fn serving(uses: &FileUses, launch: &Launch) -> tokio::task::JoinHandle<()> {
        let (uses, launch) = (uses.clone(), launch.clone());
        let serving = tokio::spawn(async move { uses.serve(&launch).await });
        tokio::task::yield_now().await;
        serving
    }

    #[tokio::test]
    async fn a_guest_stays_up_while_it_is_used_and_a_while_longer() {
        let uses = FileUses::new(IDLE);
        let (id, launch) = machine();
        assert!(matches!(uses.enter(&id), Found::Nobody));
        assert!(matches!(uses.enter(&id), Found::Changing), "one starts it, others wait");
        let mut serving = serving(&uses, &launch).await;
        let Found::Entered(used) = uses.enter(&id) else { panic!("it serves") };
        tokio::time::timeout(3 * IDLE, &mut serving).await.unwrap_err();
        let began = Instant::now();
        drop(used);
        serving.await.unwrap();
        assert!(began.elapsed() >= IDLE);
        assert!(matches!(uses.enter(&id), Found::Changing), "it goes down");
        uses.gone(&id);
        assert!(matches!(uses.enter(&id), Found::Nobody));
    }

    #[tokio::test]
    async fn a_guest_that_is_to_end_lets_its_users_finish_and_nobody_in() {
        let uses = FileUses::new(Duration::from_secs(600));
        let (id, launch) = machine();
        assert!(matches!(uses.enter(&id), Found::Nobody));
        let mut serving = serving(&uses, &launch).await;
        let Found::Entered(used) = uses.enter(&id) else { panic!("it serves") };
        uses.hurry(&id, Duration::ZERO).await;
        assert!(matches!(uses.enter(&id), Found::Changing));
        tokio::time::timeout(IDLE, &mut serving).await.unwrap_err();
        drop(used);
        tokio::time::timeout(Duration::from_secs(60), serving).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn promise_p4_nobody_waits_for_the_guest_of_an_earlier_daemon() {
        let (_, launch) = machine();
        FileUses::default().serve(&launch).await;
    }
}
