//! The largest file that a process may make: raised when a disk of a machine that runs becomes larger.

use std::fs;
use std::io;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// The line of `/proc/<pid>/limits` (proc(5)).
const LINE: &str = "Max file size";

/// Lets a process make files of `bytes`, unless it may make larger ones already. A process that is gone needs nothing.
pub(crate) fn allow(pid: u32, bytes: u64) -> io::Result<()> {
    let limits = match fs::read_to_string(format!("/proc/{pid}/limits")) {
        Ok(limits) => limits,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(hard) = hard_limit(&limits) else {
        return Err(io::Error::other("its limits do not tell the size of files"));
    };
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    match (process, hard) {
        (Some(process), Limit::Bytes(allowed)) if allowed < bytes => {
            let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
            match prlimit(Some(process), Resource::Fsize, limit) {
                Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        _ => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Limit {
    Bytes(u64),
    None,
}

/// The hard limit is the second of two numbers, soft and hard.
fn hard_limit(limits: &str) -> Option<Limit> {
    let line = limits.lines().find_map(|line| line.strip_prefix(LINE))?;
    match line.split_ascii_whitespace().nth(1)? {
        "unlimited" => Some(Limit::None),
        number => number.parse().ok().map(Limit::Bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_what_the_kernel_writes() {
        let limits = "Limit       Soft Limit   Hard Limit   Units\n\
            Max file size             1048576              2097152              bytes     \n";
        assert_eq!(hard_limit(limits), Some(Limit::Bytes(2 << 20)));
        let unlimited =
            "Max file size             unlimited            unlimited            bytes\n";
        assert_eq!(hard_limit(unlimited), Some(Limit::None));
        assert_eq!(hard_limit(""), None);
    }

    #[test]
    fn a_process_that_is_gone_needs_nothing() {
        allow(u32::MAX / 2, 1).unwrap();
    }
}
