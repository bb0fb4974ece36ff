//! `make demo`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match harness::demo::play().await {
        Ok(outcome) => {
            println!("{}", outcome.json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}
