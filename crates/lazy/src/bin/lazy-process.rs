//! Supervisor and server as a program of their own: what `computerd` has as hidden subcommands, for the tests of this crate.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match lazy::program(&arguments) {
        Some(code) => code,
        None => std::process::ExitCode::FAILURE,
    }
}
