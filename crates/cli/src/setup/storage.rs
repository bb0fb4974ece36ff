//! `computer setup storage`: finds out what the host has, and makes the plan true.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{
    apply::apply,
    arguments::{SetupArguments, SetupCommand, StorageArguments},
    error::{SetupError, at},
    facts::find_facts,
    plan::{Wanted, plan_removal, plan_set_up},
    reflink::can_reflink,
};

/// What a command answers: `Display` is for people, `Serialize` for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupAnswer {
    /// The storage is there.
    Storage {
        /// The file that holds it.
        path: PathBuf,
        /// Where it is mounted.
        mount: PathBuf,
        /// Whether anything had to be done.
        changed: bool,
        /// Whether the host mounts it again when it starts.
        persistent: bool,
    },
    /// The storage is gone.
    Removed {
        /// The file that held it.
        path: PathBuf,
        /// Whether anything had to be done.
        changed: bool,
    },
}

/// Does what the arguments ask, on the blocking pool.
pub async fn run(arguments: SetupArguments) -> Result<SetupAnswer, SetupError> {
    let SetupCommand::Storage(arguments) = arguments.command;
    match tokio::task::spawn_blocking(move || storage(arguments)).await {
        Ok(answer) => answer,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn storage(arguments: StorageArguments) -> Result<SetupAnswer, SetupError> {
    if !rustix::process::geteuid().is_root() {
        return Err(SetupError::NotRoot);
    }
    let wanted = Wanted {
        file: arguments.path,
        mount: arguments.mount,
        size: arguments.size,
        is_persistent: arguments.persist,
    };
    let facts = find_facts(&wanted)?;
    if arguments.remove {
        let actions = plan_removal(&wanted, &facts)?;
        actions.iter().try_for_each(|action| apply(action, &wanted))?;
        return Ok(SetupAnswer::Removed { path: wanted.file, changed: !actions.is_empty() });
    }
    let actions = plan_set_up(&wanted, &facts)?;
    actions.iter().try_for_each(|action| apply(action, &wanted))?;
    if !can_reflink(&wanted.mount).map_err(at("clone a file at", &wanted.mount))? {
        return Err(SetupError::NoReflink { mount: wanted.mount });
    }
    Ok(SetupAnswer::Storage {
        changed: !actions.is_empty(),
        persistent: wanted.is_persistent || facts.is_in_fstab,
        path: wanted.file,
        mount: wanted.mount,
    })
}

impl fmt::Display for SetupAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage { path, mount, changed, persistent } => {
                let (path, mount) = (path.display(), mount.display());
                let state = if *changed { "now" } else { "already" };
                write!(formatter, "{path} is {state} mounted at {mount}, and clones files")?;
                if *persistent {
                    Ok(())
                } else {
                    formatter.write_str("\nafter a reboot run this again, or use --persist once")
                }
            }
            Self::Removed { path, changed: true } => {
                write!(formatter, "removed {}", path.display())
            }
            Self::Removed { path, changed: false } => {
                write!(formatter, "{} was not there", path.display())
            }
        }
    }
}
