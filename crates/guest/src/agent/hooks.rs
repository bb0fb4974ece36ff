//! The image's own renewal: every program in /etc/computer/clone.d, in the order of their names.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::cgroup::Cgroup;
use super::helper::{self, HelperError, is_program};
use super::places::Places;
use super::reaper::Reaper;
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

/// Runs all, each with this deadline, and stops at the first that fails: it may have been there to remove a secret.
pub(crate) async fn run_all(
    places: &Places,
    reaper: &Reaper,
    cgroup: Option<&Cgroup>,
    deadline: Duration,
) -> Result<Vec<HookReport>, HooksError> {
    let mut reports = Vec::new();
    for hook in list(places)? {
        let name = hook.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let started = Instant::now();
        helper::run(reaper, cgroup, &[&hook.to_string_lossy()], deadline)
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
