//! The workspace's own programs, and tools of the machine.

use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::HarnessError;

/// The directory in which cargo put this very program, which holds its siblings: `target/debug`.
pub fn build_dir() -> Result<Utf8PathBuf, HarnessError> {
    let program = std::env::current_exe().map_err(HarnessError::io("find this program"))?;
    let program = Utf8PathBuf::from_path_buf(program)
        .map_err(|path| HarnessError::value("this program's path", path.display()))?;
    let dir = program.parent().unwrap_or(Utf8Path::new("/"));
    let is_test = dir.file_name() == Some("deps");
    Ok(if is_test { dir.parent().unwrap_or(dir) } else { dir }.to_owned())
}

/// Cargo's target directory, where caches of ours lie too.
pub fn target_dir() -> Result<Utf8PathBuf, HarnessError> {
    let dir = build_dir()?;
    Ok(dir.parent().unwrap_or(&dir).to_owned())
}

/// `computer` or `computerd`, as built.
pub fn program(name: &str) -> Result<Utf8PathBuf, HarnessError> {
    let path = build_dir()?.join(name);
    if path.is_file() { Ok(path) } else { Err(HarnessError::NotBuilt(path)) }
}

/// Runs a tool to its end; its standard output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, HarnessError> {
    let command = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(HarnessError::io(format!("run {command}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(HarnessError::Tool {
        command,
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
    })
}

/// What this machine lacks for real machines, if anything.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("this needs root".into());
    }
    let tools = ["qemu-system-x86_64", "nft", "ip", "mmdebstrap", "mkfs.xfs", "mount", "losetup"];
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let is_there = |tool: &&&str| dirs.iter().any(|dir| Utf8Path::new(dir).join(tool).is_file());
    tools.iter().find(|tool| !is_there(tool)).map(|tool| format!("{tool} is not installed"))
}
