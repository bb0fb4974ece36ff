//! The launcher of jails as a program of its own: what `computerd vmm-launcher` is in the daemon, for the tests of this crate.

fn main() -> std::process::ExitCode {
    vmm::jail::launcher::run()
}
