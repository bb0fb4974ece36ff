//! The program `computerd`: its arguments, its log, its runtime. A library, so that a test can watch a real daemon step by step.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Parser, Subcommand};
use engine::watch::Watch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, Sources};
use crate::wiring::LAUNCHER_COMMAND;
use crate::{daemon, logging};

/// Turns this machine into a host for computers.
///
/// Configuration: file, then environment (COMPUTERD_ROOT, COMPUTERD_OVERCOMMIT__MEMORY, ...), then --set.
#[derive(Debug, Parser)]
#[command(name = "computerd", version)]
struct Arguments {
    /// The configuration file [default: /etc/computer/computerd.toml, where there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<Utf8PathBuf>,
    /// Sets one key, as in --set overcommit.memory=1.5; repeatable.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The directory of everything that the daemon keeps; short for --set root=DIR.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<Utf8PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Runs the daemon (the default).
    Run,
    /// Reads the configuration, checks it whole, and prints it.
    CheckConfig,
}

/// What `main` does, with one thread so far. `watch` is told of every step of every operation.
pub fn run(watch: Arc<dyn Watch>) -> ExitCode {
    // Before anything else: the launcher relies on a process with one thread.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == LAUNCHER_COMMAND) {
        return vmm::jail::launcher::run();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = lazy::program(&words) {
        return code;
    }
    let arguments = Arguments::parse();
    match execute(&arguments, watch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("computerd: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments, watch: Arc<dyn Watch>) -> Result<(), Box<dyn Error>> {
    let config = sources(arguments).load()?;
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => serve(config, watch),
        Command::CheckConfig => {
            print!("{}", toml::to_string(&config)?);
            Ok(())
        }
    }
}

fn sources(arguments: &Arguments) -> Sources {
    let text = |text: std::ffi::OsString| text.into_string().ok();
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
    let root =
        arguments.root.as_ref().map(|root| format!("root={}", toml::Value::from(root.as_str())));
    Sources {
        path: arguments.config.clone(),
        environment: environment.collect(),
        settings: arguments.settings.iter().cloned().chain(root).collect(),
    }
}

fn serve(config: Config, watch: Arc<dyn Watch>) -> Result<(), Box<dyn Error>> {
    logging::start(&config.log)?;
    raise_open_files();
    // Two workers: the daemon moves little itself, and stays small. Threads for what blocks come and go.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(128)
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build()?;
    let ended = runtime.block_on(daemon::run(config, watch));
    // Hashing or copying under way is not waited for: its operation is settled by the next daemon.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(ended?)
}

/// Relays take a descriptor for each port and two for each connection, far more than the soft limit that systemd gives.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
