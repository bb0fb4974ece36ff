//! The simulated jailer: the arguments of the real one, and its chroot, mount, pid and network namespaces, limits and uid.
//!
//! What it leaves out: control groups (the daemon asks for none of the jailer: a run is born into its own), `--daemonize`, the `resource-limits`
//! beyond the two that the real one has, and `/dev/userfaultfd`. `/dev/kvm` is made as a node like the real one does, though nobody opens it.

mod arguments;
mod chroot;
mod sys;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::thread::UnshareFlags;

use super::answer::with;
use arguments::{Arguments, Asked};

/// Is the jailer, with these words behind its name. It ends when its program has begun.
pub fn jailer(words: impl IntoIterator<Item = String>) -> ExitCode {
    let outcome = match Asked::parse(words) {
        Ok(Asked::Version) => {
            println!("Jailer v{}", super::VERSION);
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Run(arguments)) => jail(&arguments),
        Err(reason) => Err(reason),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("Jailer error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn jail(arguments: &Arguments) -> Result<(), String> {
    let (uid, gid) = (arguments.uid, arguments.gid);
    let root = chroot::lay_out(arguments)?;
    if let Some(path) = &arguments.netns {
        let namespace = fs::File::open(path).map_err(with(format!("open {path}")))?;
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)
            .map_err(|error| format!("enter {path}: {error}"))?;
    }
    for (resource, bound) in &arguments.limits {
        let limit = rustix::process::Rlimit { current: Some(*bound), maximum: Some(*bound) };
        rustix::process::setrlimit(*resource, limit)
            .map_err(|error| format!("limit {resource:?}: {error}"))?;
    }
    sys::unshare(UnshareFlags::NEWNS).map_err(with("leave the mount namespace"))?;
    chroot::enter(&root)?;
    chroot::make_devices(uid, gid)?;
    if arguments.has_new_pid_ns {
        sys::unshare(UnshareFlags::NEWPID).map_err(with("leave the pid namespace"))?;
    }
    let name = arguments.program_name()?;
    let program = format!("/{name}");
    let mut command = Command::new(&program);
    command
        .args(["--id", &arguments.id, "--start-time-us", "0", "--start-time-cpu-us", "0"])
        .args(["--parent-cpu-time-us", "0"])
        .args(&arguments.further)
        .env_clear()
        .gid(gid)
        .uid(uid);
    if !arguments.has_new_pid_ns {
        return Err(with(format!("run {program}"))(command.exec()));
    }
    let child = command.spawn().map_err(with(format!("run {program}")))?;
    let path = format!("/{name}.pid");
    fs::write(&path, child.id().to_string()).map_err(with(format!("write {path}")))
}
