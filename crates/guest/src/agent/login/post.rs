//! Takes reports and posts them, one after the other.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

use super::SOCKET;
use super::report::{Login, REPORT_BYTES};
use super::webhook::{CURL, Webhook};
use crate::agent::cgroup::Cgroup;
use crate::agent::helper;
use crate::agent::machine::Machine;

/// Logins that wait for the webhook; more are dropped.
const PENDING_LOGINS: usize = 64;
/// For one post with all its tries; curl ends before.
const POST_DEADLINE: Duration = Duration::from_secs(60);

/// How often this guest became another: what happened before that is no business of the new one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logins {
    renewals: Arc<AtomicU64>,
}

impl Logins {
    /// Forgets every login that is not told yet.
    pub(crate) fn forget(&self) {
        self.renewals.fetch_add(1, Ordering::SeqCst);
    }

    fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::SeqCst)
    }
}

/// A login that is still to be told.
struct Pending {
    login: Login,
    unix_time_ms: u64,
    renewals: u64,
}

/// Serves for as long as the agent lives.
pub(crate) async fn serve(machine: Arc<Machine>) {
    let (sender, pending) = mpsc::channel(PENDING_LOGINS);
    let listening = listen(&machine, sender);
    let posting = post_all(&machine, pending);
    let ((), outcome) = tokio::join!(posting, listening);
    if let Err(error) = outcome {
        tracing::warn!(%error, "logins are not reported");
    }
}

async fn listen(machine: &Machine, sender: mpsc::Sender<Pending>) -> io::Result<()> {
    let path = machine.places.path(SOCKET);
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixDatagram::bind(&path)?;
    let mut buffer = vec![0; REPORT_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let Ok(login) = serde_json::from_slice(&buffer[..length]) else {
            tracing::warn!("a report of a login cannot be read");
            continue;
        };
        let renewals = machine.logins.renewals();
        let pending = Pending { login, unix_time_ms: now_ms(), renewals };
        if sender.try_send(pending).is_err() {
            tracing::warn!("too many logins wait for the webhook: one is dropped");
        }
    }
}

async fn post_all(machine: &Machine, mut pending: mpsc::Receiver<Pending>) {
    let guest = machine.cgroups.as_ref().map(|cgroups| &cgroups.guest);
    while let Some(pending) = pending.recv().await {
        let cgroup = guest.map(|guest| guest.child("login-webhook")).transpose();
        let posted = match cgroup {
            Ok(cgroup) => post(machine, cgroup.as_ref(), &pending).await,
            Err(error) => Err(error),
        };
        if let Err(error) = posted {
            tracing::warn!(%error, "the login webhook was not told");
        }
    }
}

/// The program runs among the guest's processes, so that it freezes with them.
async fn post(machine: &Machine, cgroup: Option<&Cgroup>, pending: &Pending) -> io::Result<()> {
    let Some(webhook) = Webhook::read(&machine.places)? else { return Ok(()) };
    let thawed = machine.freezer.hold_thawed().await;
    if machine.logins.renewals() != pending.renewals {
        return Ok(());
    }
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let config = webhook.curl_config(&pending.login, &hostname, pending.unix_time_ms);
    let command = [CURL, "--disable", "--config", "-"];
    let running = helper::start(&machine.reaper, cgroup, &command, Some(config.as_bytes()));
    drop(thawed);
    let running = running.map_err(io::Error::other)?;
    helper::wait(&machine.reaper, cgroup, CURL, running, POST_DEADLINE)
        .await
        .map_err(io::Error::other)
}

fn now_ms() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
