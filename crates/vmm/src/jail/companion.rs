//! A program beside a jail, such as what fills a machine's files: born as a jail is, into a control group and a session of its own, with
//! nothing open, so that it outlives the daemon.

use std::fs::File;
use std::io;
use std::time::Duration;

use crate::cgroup::Cgroup;

use super::spawn::{JailError, Launcher, run};

/// The longest word of a companion.
const MAXIMUM_BYTES: u64 = 4096;

/// Starts a program that leaves a child behind and ends, and answers what the two wrote to their standard output until both had closed
/// it. On any error what there is of them dies with `cgroup`, which the caller ends.
pub async fn start_companion(
    program: &Launcher,
    cgroup: &Cgroup,
    deadline: Duration,
) -> Result<String, JailError> {
    let null = File::open("/dev/null").map_err(JailError::Hear)?;
    let text = run(program, cgroup, null, MAXIMUM_BYTES, deadline).await?;
    let text = String::from_utf8(text);
    text.map_err(|error| JailError::Hear(io::Error::new(io::ErrorKind::InvalidData, error)))
}
