//! `computer shell`: the login shell of a user, in a terminal.

use clap::Args;
use contract::id::MachineId;

use super::arguments::ExecArguments;
use super::detach::DetachKeys;

/// The user's own shell: the agent says which that is.
const LOGIN_SHELL: &str = "exec \"${SHELL:-/bin/sh}\" -l";

/// Whose shell, and where.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer shell box
  computer shell --user root box

It is left with ctrl-p ctrl-q and runs on; `computer attach box` goes on with it.")]
pub(crate) struct ShellArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// Whose shell [default: node].
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// The keys that leave it running: like ctrl-p,ctrl-q, or `none`.
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(crate) detach_keys: DetachKeys,
}

impl From<ShellArguments> for ExecArguments {
    fn from(shell: ShellArguments) -> Self {
        Self {
            machine: shell.machine,
            command: ["/bin/sh", "-c", LOGIN_SHELL].map(str::to_owned).into(),
            interactive: true,
            no_stdin: false,
            tty: true,
            detach: false,
            detach_keys: shell.detach_keys,
            cwd: None,
            env: Vec::new(),
            user: shell.user,
            timeout: None,
        }
    }
}
