//! The command line of `computer exec`.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdin};

use clap::Args;
use contract::exec_stream::ExecStart;
use contract::id::MachineId;
use jiff::SignedDuration;

use super::detach::DetachKeys;
use super::terminal;

/// What to run where.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer exec box -- uname -a
  computer exec -it box -- bash                            a shell in a terminal; ctrl-p ctrl-q leaves it running
  computer exec --detach box -- make all                   runs on by itself; `computer attach` shows it
  tar c src | computer exec box -- tar x                   input comes from the pipe
  computer exec --user root --timeout 5m box -- apt-get update
  while read name; do computer exec -n box -- mkdir \"$name\"; done < names

It ends as the command did, with 124 when its time ran out, and with 125 when it could not be run.")]
pub(crate) struct ExecArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
    /// Pass standard input even when it is a terminal.
    #[arg(long, short)]
    pub(crate) interactive: bool,
    /// Do not pass standard input even when it is a pipe or a file.
    #[arg(long, short, conflicts_with_all = ["interactive", "tty"])]
    pub(crate) no_stdin: bool,
    /// Run it in a terminal of the size of this one.
    #[arg(long, short)]
    pub(crate) tty: bool,
    /// Start it, print the name of its session, and leave it running.
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// The keys that leave it running, where it has a terminal: like ctrl-p,ctrl-q, or `none`.
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(crate) detach_keys: DetachKeys,
    /// Where it runs [default: the user's home].
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// A variable added to its environment; may be repeated.
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// As whom it runs [default: node].
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// For how long it may run, such as 30s or 5m [default: without end].
    #[arg(long, value_parser = milliseconds)]
    pub(crate) timeout: Option<u64>,
}

impl ExecArguments {
    /// The same for the daemon.
    pub(super) fn start(&self) -> ExecStart {
        let mut env: BTreeMap<String, String> = self.env.iter().cloned().collect();
        if self.tty
            && let Ok(term) = std::env::var("TERM")
        {
            env.entry("TERM".to_owned()).or_insert(term);
        }
        ExecStart {
            command: self.command.clone(),
            cwd: self.cwd.clone(),
            env,
            user: self.user.clone(),
            timeout_ms: self.timeout,
            stdin: self.passes_input(stdin().is_terminal()),
            tty: self.tty.then(terminal::size),
            session_id: None,
            offset: None,
        }
    }

    fn passes_input(&self, is_terminal: bool) -> bool {
        !self.no_stdin && (self.interactive || self.tty || !is_terminal && !self.detach)
    }
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("a variable is NAME=VALUE"),
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let duration: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    match u64::try_from(duration.as_millis()) {
        Ok(millis) if millis > 0 => Ok(millis),
        Ok(_) | Err(_) => Err("it must be longer than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parse(line: &[&str]) -> Result<ExecArguments, clap::Error> {
        let line = ["computer", "exec"].iter().chain(line);
        match Arguments::try_parse_from(line)?.command {
            Command::Exec(arguments) => Ok(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_follows_the_machine_is_the_command_and_is_left_alone() {
        for line in [&["box", "--", "ls", "-l", "--json"][..], &["box", "ls", "-l", "--json"]] {
            assert_eq!(parse(line).unwrap().command, ["ls", "-l", "--json"]);
        }
        let line = ["-u", "root", "-e", "A=b=c", "-e", "E=", "--cwd", "/tmp", "box", "env"];
        let start = parse(&line).unwrap().start();
        assert_eq!(start.user.as_deref(), Some("root"));
        assert_eq!(start.cwd.as_deref(), Some("/tmp"));
        let env = BTreeMap::from([("A", "b=c"), ("E", "")]);
        assert_eq!(
            start.env,
            env.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
        );
    }

    #[test]
    fn input_is_passed_when_it_is_no_terminal_or_when_asked() {
        for (line, on_terminal, on_pipe) in [
            (&["box", "cat"][..], false, true),
            (&["-i", "box", "cat"], true, true),
            (&["-t", "box", "cat"], true, true),
            (&["-n", "box", "cat"], false, false),
            (&["--detach", "box", "cat"], false, false),
        ] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.passes_input(true), on_terminal, "{line:?}");
            assert_eq!(arguments.passes_input(false), on_pipe, "{line:?}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        for (text, millis) in
            [("30s", 30_000), ("5m", 300_000), ("1500ms", 1500), ("1h 30m", 5_400_000)]
        {
            assert_eq!(milliseconds(text), Ok(millis), "{text}");
        }
        for text in ["", "30", "-1s", "0s", "soon"] {
            milliseconds(text).expect_err(text);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in
            [&["box"][..], &["-n", "-i", "box", "cat"], &["-e", "=b", "box", "cat"], &["..", "cat"]]
        {
            parse(line).expect_err(&format!("{line:?}"));
        }
    }
}
