//! The agent inside a guest. See `guest::agent`.

use std::error::Error;
use std::process::ExitCode;

use guest::agent::{self, Invocation, Role};
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let options = match Invocation::parse(arguments, Role::of_this_process()) {
        Ok(Invocation::Run(options)) => options,
        Ok(Invocation::ReportLogin(root)) => {
            if let Err(error) = agent::report_login(&root) {
                eprintln!("computer-agent: the login is not reported: {error}");
                return ExitCode::FAILURE;
            }
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Help) => {
            print!("{}", agent::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Version) => {
            println!("computer-agent {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("computer-agent: {error}\n\n{}", agent::USAGE);
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::INFO)
        .with_ansi(false)
        .init();
    match agent::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// The whole chain, once.
fn report(error: &dyn Error) {
    tracing::error!("{error}");
    let mut source = error.source();
    while let Some(cause) = source {
        tracing::error!("because: {cause}");
        source = cause.source();
    }
}
