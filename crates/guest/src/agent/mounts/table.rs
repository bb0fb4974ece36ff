//! All mounts of the guest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::config::Config;
use super::error::MountError;
use super::process::{Process, RCLONE, Setting};
use crate::agent::cgroup::Cgroup;
use crate::agent::files::Workspace;
use crate::agent::helper::{self, is_program};
use crate::agent::places::Places;
use crate::agent::reaper::Reaper;
use crate::limits;
use crate::proto::mounts::{MountReport, MountRequest, State};

/// On a tmpfs.
const CONFIGS: &str = "/run/computer/mounts";
const CACHES: &str = "/var/cache/computer/mounts";
/// To load a kernel module.
const LOAD: Duration = Duration::from_secs(20);
/// For a mount that is replaced.
const REPLACE: Duration = Duration::from_secs(10);

/// The mounts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mounts {
    places: Places,
    login_user: String,
    reaper: Reaper,
    cgroup: Option<Cgroup>,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    state: State,
    message: String,
    /// Ends its task, which then tells.
    stop: Option<oneshot::Sender<Stop>>,
    pid: Option<rustix::process::Pid>,
}

#[derive(Debug)]
struct Stop {
    deadline: Duration,
    done: oneshot::Sender<()>,
}

impl Mounts {
    pub(crate) fn new(
        places: Places,
        login_user: String,
        reaper: Reaper,
        guest: Option<&Cgroup>,
    ) -> Mounts {
        let cgroup = guest.map(|guest| guest.child("mounts")).transpose();
        let cgroup = cgroup.unwrap_or_else(|error| {
            tracing::warn!(%error, "mounts run in the agent's own cgroup");
            None
        });
        Mounts { places, login_user, reaper, cgroup, entries: Arc::default() }
    }

    /// Begins to mount. What can be told at once is.
    pub(crate) async fn mount(&self, request: MountRequest) -> Result<(), MountError> {
        check(&request)?;
        if !is_program(Path::new(RCLONE)) {
            return Err(MountError::Lacking("rclone"));
        }
        self.unmount(&request.id, REPLACE).await;
        let (stop, stopped) = oneshot::channel();
        {
            let mut entries = self.entries();
            if entries.len() >= limits::MOUNTS && !entries.contains_key(&request.id) {
                return Err(MountError::TooMany);
            }
            let message = String::new();
            let entry = Entry { state: State::Mounting, message, stop: Some(stop), pid: None };
            entries.insert(request.id.clone(), entry);
        }
        tokio::spawn(self.clone().keep(request, stopped));
        Ok(())
    }

    /// Takes a mount away; nothing to do when it is not there.
    pub(crate) async fn unmount(&self, id: &str, deadline: Duration) {
        let stop = self.entries().remove(id).and_then(|entry| entry.stop);
        let Some(stop) = stop else { return };
        let (done, is_done) = oneshot::channel();
        if stop.send(Stop { deadline, done }).is_ok() {
            // It has deadlines of its own; one that ended without a word is gone as well.
            drop(is_done.await);
        }
    }

    /// Ends all at once, frozen or not: a clone's stores are its own (promise P8).
    pub(crate) fn forget_all(&self) {
        for (id, entry) in self.entries().drain() {
            if let Some(pid) = entry.pid {
                let killed = self.reaper.signal(
                    pid,
                    rustix::process::Signal::KILL,
                    crate::agent::reaper::ToGroup::No,
                );
                if let Err(error) = killed {
                    tracing::warn!(%error, id, "could not end a mount of the source");
                }
            }
            // Dropping `stop` has its task clean up.
        }
    }

    pub(crate) fn list(&self) -> Vec<MountReport> {
        let entries = self.entries();
        let mut reports: Vec<_> = entries
            .iter()
            .map(|(id, entry)| MountReport {
                id: id.clone(),
                state: entry.state.into(),
                message: entry.message.clone(),
            })
            .collect();
        reports.sort_by(|one, other| one.id.cmp(&other.id));
        reports
    }

    /// One mount from its start to its end.
    async fn keep(self, request: MountRequest, mut stopped: oneshot::Receiver<Stop>) {
        let id = request.id.clone();
        let mut process = match self.start(request).await {
            Ok(process) => process,
            Err(error) => return self.failed(&id, &error),
        };
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.pid = Some(process.pid);
        }
        let mounted = tokio::select! {
            mounted = process.mounted() => mounted,
            stop = &mut stopped => return self.stop(process, stop.ok()).await,
        };
        if let Err(error) = mounted {
            self.failed(&id, &error);
            return process.end(&self.reaper, Duration::from_secs(2)).await;
        }
        self.set(&id, State::Mounted, String::new());
        tokio::select! {
            words = process.ended() => {
                self.failed(&id, &MountError::Ended(words));
                process.end(&self.reaper, Duration::ZERO).await;
            }
            stop = &mut stopped => self.stop(process, stop.ok()).await,
        }
    }

    async fn stop(&self, process: Process, stop: Option<Stop>) {
        let deadline = stop.as_ref().map_or(Duration::ZERO, |stop| stop.deadline);
        process.end(&self.reaper, deadline).await;
        if let Some(stop) = stop {
            // Who asked may have gone.
            let is_heard = stop.done.send(()).is_ok();
            tracing::debug!(is_heard, "unmounted");
        }
    }

    async fn start(&self, mut request: MountRequest) -> Result<Process, MountError> {
        if !Path::new("/dev/fuse").exists() {
            let loading = ["/sbin/modprobe", "fuse"];
            let loaded = helper::run(&self.reaper, None, &loading, LOAD).await;
            if loaded.is_err() || !Path::new("/dev/fuse").exists() {
                return Err(MountError::Lacking("FUSE (its kernel module)"));
            }
        }
        for (name, secret) in std::mem::take(&mut request.obscured) {
            let obscured =
                helper::pipe(&self.reaper, &[RCLONE, "obscure", "-"], secret, LOAD).await;
            request.remote.insert(name, obscured.map_err(MountError::Obscure)?);
        }
        let config = Config::write(&self.places.path(CONFIGS), &request.id, &request.remote)?;
        let (target, owner) = self.target(&request)?;
        let cache = self.places.path(CACHES).join(&request.id);
        let setting =
            Setting { reaper: &self.reaper, cgroup: self.cgroup.as_ref(), target, owner, cache };
        Process::start(&request, config, setting)
    }

    /// The directory, made where it is missing, without links.
    fn target(&self, request: &MountRequest) -> Result<(PathBuf, Option<(u32, u32)>), MountError> {
        let whole = Workspace::whole(&self.places, &self.login_user);
        let path = Path::new(&request.target_path);
        let inside = path.strip_prefix("/").unwrap_or(path);
        let found = whole.and_then(|whole| Ok((whole.make_target(inside)?, whole.owner())));
        let (target, owner) = found.map_err(|error| MountError::File {
            action: "make",
            path: path.to_owned(),
            source: std::io::Error::other(error),
        })?;
        Ok((self.places.path(target), owner))
    }

    fn failed(&self, id: &str, error: &MountError) {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(one) = cause {
            message = format!("{message}: {one}");
            cause = one.source();
        }
        self.set(id, State::Failed, message);
    }

    fn set(&self, id: &str, state: State, message: String) {
        if let Some(entry) = self.entries().get_mut(id) {
            if state == State::Failed {
                entry.pid = None;
            }
            entry.state = state;
            entry.message = message;
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(request: &MountRequest) -> Result<(), MountError> {
    let id = &request.id;
    let is_id = !id.is_empty()
        && id.len() <= 128
        && !id.starts_with('.')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let texts = [&request.target_path, &request.bucket].into_iter().chain(&request.flags);
    let is_plain = texts.into_iter().all(|text| !text.chars().any(char::is_control));
    match () {
        () if !is_id => Err(MountError::Invalid("no id of a mount")),
        () if !request.target_path.starts_with('/') => {
            Err(MountError::Invalid("the target of a mount is absolute"))
        }
        () if !is_plain => Err(MountError::Invalid("a control character in a mount")),
        () if request.flags.iter().any(|flag| !flag.starts_with("--")) => {
            Err(MountError::Invalid("a flag begins with two dashes"))
        }
        () => Ok(()),
    }
}
