//! A jailer that needs no `/dev/kvm`. See [`simulator::jailer`].

fn main() -> std::process::ExitCode {
    simulator::jailer::jailer(std::env::args().skip(1))
}
