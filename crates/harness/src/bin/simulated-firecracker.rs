//! A Firecracker without a hypervisor. See `harness::simulator`.

fn main() -> std::process::ExitCode {
    harness::simulator::firecracker(std::env::args().skip(1))
}
