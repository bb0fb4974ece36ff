//! A jailer that needs no `/dev/kvm`. See `harness::simulator::jailer`.

fn main() -> std::process::ExitCode {
    harness::simulator::jailer::jailer(std::env::args().skip(1))
}
