//! What the kernel says of a process in `/proc`.

use std::fs;

/// A field of a process's `status`, its words parted by single spaces.
pub(crate) fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let words = line.unwrap_or_else(|| panic!("{field} of {pid}")).split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

/// Whose child a process is, and in which session it is.
///
/// Both are 0 for what lies outside of the PID namespace of `/proc`: the session of a test in a container often does, where `getsid` has no answer.
#[derive(Debug)]
pub(crate) struct Kinship {
    pub(crate) parent: u32,
    pub(crate) session: u32,
}

impl Kinship {
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name of the program, in parentheses, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        Self { parent: fields[1].parse().unwrap(), session: fields[3].parse().unwrap() }
    }
}
