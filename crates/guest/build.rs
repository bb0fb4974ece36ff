//! Compiles `proto/*.proto` with protox, so that no `protoc` is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(
        ["proto/agent.proto", "proto/files.proto", "proto/mounts.proto"],
        ["proto"],
    )?;
    tonic_prost_build::configure()
        .bytes(".computer")
        .skip_debug([
            ".computer.agent.v1.ReseedRequest",
            ".computer.agent.v1.RenewRequest",
            ".computer.agent.v1.LoginWebhook",
            ".computer.agent.v1.ExecServer",
            ".computer.mounts.v1.MountRequest",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
