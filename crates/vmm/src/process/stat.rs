//! What `/proc` says of one process.

use std::fs;
use std::io;

/// The fields of `/proc/<pid>/stat` that identify a process and tell the living from the dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// Field 3: `R`, `S`, `D`, `Z` and so on.
    pub state: char,
    /// Field 22: clock ticks after boot at which the process started.
    pub start_time_ticks: u64,
}

impl ProcessStat {
    /// Reads the process's line; `None` when there is no such process.
    pub fn read(pid: u32) -> io::Result<Option<Self>> {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(line) => Self::parse(&line).map(Some).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("/proc/{pid}/stat is not as proc(5) says"),
                )
            }),
            // ESRCH comes from a process that ended between open and read.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(libc::ESRCH) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// True for a process that has ended and waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// The name in field 2 may hold blanks and parentheses, so fields are counted from the last `)`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let start_time_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start_time_ticks })
    }
}

/// The id of this boot of the host, a UUID in text.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = "42 (a) R (b c) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21";

        let stat = ProcessStat::parse(line).unwrap();

        assert_eq!(stat, ProcessStat { state: 'Z', start_time_ticks: 777 });
        assert!(stat.is_dead());
    }

    #[test]
    fn a_short_line_is_no_process() {
        assert_eq!(ProcessStat::parse("42 (cat) R 1 2 3"), None);
        assert_eq!(ProcessStat::parse(""), None);
    }

    #[test]
    fn this_process_is_found_and_an_absent_one_is_none() {
        assert!(!ProcessStat::read(std::process::id()).unwrap().unwrap().is_dead());
        assert_eq!(ProcessStat::read(u32::MAX / 2).unwrap(), None);
    }
}
