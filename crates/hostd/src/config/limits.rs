//! How long things may take, and how much of anything is accepted.

use serde::{Deserialize, Serialize};

/// How long things may take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deadlines {
    /// From launch to ready. A full image under TCG on two busy cores takes up to a minute; KVM takes seconds.
    pub start_ms: u64,
    /// From asking a guest to power off to the kill. systemd gives its services 90 s, ours need a few.
    pub stop_ms: u64,
    /// One request to the agent, which answers in milliseconds unless the guest is starved.
    pub agent_ms: u64,
    /// A frozen source thaws by itself after this: longer than any pause, shorter than a client's patience.
    pub self_thaw_ms: u64,
    /// How long a stopping daemon waits for operations and answers. What is left is settled by the next daemon.
    pub drain_ms: u64,
    /// Between two looks at what is recorded and what is.
    pub reconcile_interval_ms: u64,
    /// Between two checks of the bytes of one snapshot each. An hour keeps the disk free for guests.
    pub scrub_interval_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            start_ms: 180_000,
            stop_ms: 30_000,
            agent_ms: 20_000,
            self_thaw_ms: 15_000,
            drain_ms: 20_000,
            reconcile_interval_ms: 15_000,
            scrub_interval_ms: 3_600_000,
        }
    }
}

/// How much of anything is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest body of a request, in bytes. An upload of 10,000 parts (S3's limit) with signed URLs of 1 KiB has 12 MiB.
    pub request_bytes: usize,
    /// How many connections each listener serves at once; more wait in the kernel's queue.
    pub connections: usize,
    /// What is kept of each output stream of an `exec` request, in bytes.
    pub exec_output_bytes: usize,
    /// How many `exec` requests and streams run at once; one more is told to come later.
    pub execs: usize,
    /// The longest content that one file operation reads or patches, in bytes; what is longer goes in ranges or as a stream. In an
    /// answer it takes up to six times as much.
    pub file_bytes: usize,
    /// How many operations a listing answers; the newest.
    pub listed_operations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 16 << 20,
            connections: 512,
            exec_output_bytes: 4 << 20,
            execs: 256,
            file_bytes: 8 << 20,
            listed_operations: 200,
        }
    }
}
