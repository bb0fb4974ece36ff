//! The operator's hand: machines and snapshots through the daemon, object stores without a control plane, images.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run().await
}
