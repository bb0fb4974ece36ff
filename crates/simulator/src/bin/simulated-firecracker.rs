//! A Firecracker without a hypervisor. See [`simulator`].

fn main() -> std::process::ExitCode {
    simulator::firecracker(std::env::args().skip(1))
}
