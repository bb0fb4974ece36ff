//! The operator's hand: machines and snapshots through the daemon, object stores without a control plane, images.

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use cli::image::{self, ImageArguments};

/// Computers on this machine.
#[derive(Debug, Parser)]
#[command(name = "computer", version)]
struct Arguments {
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Image(ImageArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Command::Image(command) = arguments.command;
    match image::run(command).await {
        Ok(answer) if arguments.json => println!("{}", serde_json::json!(answer)),
        Ok(answer) => println!("{answer}"),
        Err(error) => {
            let mut cause = Some(&error as &dyn Error);
            while let Some(one) = cause {
                eprintln!("{one}");
                cause = one.source();
            }
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
