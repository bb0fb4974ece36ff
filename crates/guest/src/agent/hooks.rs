//! The image's own renewal: every program in /etc/computer/clone.d, in the order of their names.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::helper::{self, HelperError, is_program};
use super::machine::Machine;
use super::places::Places;
use crate::limits;
use crate::proto::HookReport;

const DIRECTORY: &str = "/etc/computer/clone.d";

/// Why a clone is not clean.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HooksError {
    #[error("list {DIRECTORY}")]
    List(#[source] io::Error),
    #[error("{DIRECTORY} has more than {} programs", limits::HOOKS)]
    TooMany,
    #[error("run the hook {name}")]
    Run { name: String, source: HelperError },
}

/// The programs as they were seen at a freeze: until that freeze ends no process of the guest changes them.
///
/// A directory is expensive to read for a clone that has just been emulated anew.
#[derive(Debug)]
pub(crate) struct SeenHooks {
    changed: SystemTime,
    hooks: Vec<PathBuf>,
}

impl SeenHooks {
    /// Looks. What cannot be read is read again when it is needed.
    pub(crate) fn look(places: &Places) -> Option<SeenHooks> {
        Some(SeenHooks { changed: changed(places)?, hooks: list(places).ok()? })
    }

    /// What was seen, where the directory is as it was. `None`: look again.
    fn if_current(self, places: &Places) -> Option<Vec<PathBuf>> {
        (changed(places)? == self.changed).then_some(self.hooks)
    }
}

/// When an entry of the directory was last made, renamed or removed.
fn changed(places: &Places) -> Option<SystemTime> {
    fs::metadata(places.path(DIRECTORY)).and_then(|meta| meta.modified()).ok()
}

/// Runs all of a machine, which may have been seen before, each with this deadline, and stops at the first that fails: it may have been there to remove a secret.
pub(crate) async fn run_all(
    machine: &Machine,
    seen: Option<SeenHooks>,
    deadline: Duration,
) -> Result<Vec<HookReport>, HooksError> {
    let hooks = match seen.and_then(|seen| seen.if_current(&machine.places)) {
        Some(hooks) => hooks,
        None => list(&machine.places)?,
    };
    let mut reports = Vec::new();
    for hook in hooks {
        let name = hook.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let started = Instant::now();
        helper::run(&machine.reaper, machine.renew_cgroup(), &[&hook.to_string_lossy()], deadline)
            .await
            .map_err(|source| HooksError::Run { name: name.clone(), source })?;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        reports.push(HookReport { name, took_ms });
    }
    Ok(reports)
}

fn list(places: &Places) -> Result<Vec<PathBuf>, HooksError> {
    let entries = match fs::read_dir(places.path(DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(HooksError::List)?,
    };
    let mut hooks = Vec::new();
    for entry in entries {
        let path = entry.map_err(HooksError::List)?.path();
        if is_program(&path) {
            hooks.push(path);
        }
        if hooks.len() > limits::HOOKS {
            return Err(HooksError::TooMany);
        }
    }
    hooks.sort();
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn add_hook(root: &std::path::Path, name: &str) {
        let path = root.join("etc/computer/clone.d").join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn hooks_that_were_seen_are_the_hooks() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/computer/clone.d")).unwrap();
        let places = Places::new(root.path().to_owned(), "/".into());
        add_hook(root.path(), "10-tokens");
        let seen = SeenHooks::look(&places).unwrap();
        assert_eq!(seen.if_current(&places), Some(list(&places).unwrap()));
    }

    #[test]
    fn a_hook_that_came_since_is_not_overlooked_promise_p8() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/computer/clone.d");
        fs::create_dir_all(&directory).unwrap();
        let places = Places::new(root.path().to_owned(), "/".into());
        let seen = SeenHooks::look(&places).unwrap();
        add_hook(root.path(), "10-tokens");
        // The clock of a file system is coarse: say that a second went by.
        let later = SystemTime::now() + Duration::from_secs(1);
        fs::File::open(&directory).unwrap().set_modified(later).unwrap();
        assert_eq!(seen.if_current(&places), None);
    }
}
