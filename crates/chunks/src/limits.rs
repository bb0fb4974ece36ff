//! Every bound of this crate, with its unit, its default and the reason for it.

use std::time::Duration;

/// Bytes in a KiB.
pub(crate) const KIB: u64 = 1024;
/// Bytes in a MiB.
pub(crate) const MIB: u64 = 1024 * KIB;

/// Bounds of what a manifest may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestLimits {
    /// Largest manifest read or written. A digest costs 43 bytes as base64, so 32 MiB describes
    /// about 700 GiB of data in 1 MiB chunks, and a hostile manifest cannot ask for more memory
    /// than that.
    pub size_bytes: u64,
    /// Most files in one manifest: memory, device state, a system disk and user disks, with room to
    /// spare.
    pub files: usize,
}

impl Default for ManifestLimits {
    fn default() -> Self {
        Self { size_bytes: 32 * MIB, files: 256 }
    }
}

/// Bounds of sealing and of hashing again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealLimits {
    /// Bytes per chunk, a multiple of 4096. 1 MiB keeps the manifest of a full 10 GiB disk at 440
    /// KB, is long enough for BLAKE3's widest vectors, and is the most that one bad or repeated
    /// chunk costs.
    pub chunk_bytes: u32,
    /// Threads that hash at once. One core hashes about 3 GB/s, more than a disk gives, so four are
    /// plenty, and the guests keep the rest of the machine.
    pub threads: usize,
}

impl Default for SealLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { chunk_bytes: 1024 * 1024, threads: cores.min(4) }
    }
}

/// Bounds of the chunked form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedLimits {
    /// Bytes per chunk, a multiple of 4096. 128 KiB were chosen by argument, not measured:
    /// decision 24.
    pub chunk_bytes: u32,
    /// A pack that has this many bytes is finished. 8 MiB are a second at 64 Mbit/s, so that little
    /// is lost when one breaks, and few enough objects that a request's latency counts little.
    pub pack_bytes: u64,
    /// Level of zstd. 3 is the library's own default; no other was tried.
    pub level: i32,
    /// Threads that read, hash and compress at once.
    pub threads: usize,
    /// Largest manifest of the chunked form. 70 bytes a chunk: 64 MiB describe 120 GiB of data.
    pub document_bytes: u64,
}

impl Default for ChunkedLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            chunk_bytes: 128 * 1024,
            pack_bytes: 8 * MIB,
            level: 3,
            threads: cores.min(4),
            document_bytes: 64 * MIB,
        }
    }
}

/// When a failed request is tried again: exponential back-off with full jitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts without progress before giving up, the first one included. Six span about 12 s of
    /// mean back-off, longer than an object store takes to fail over.
    pub attempts: u32,
    /// Upper end of the first pause; it doubles each time.
    pub base_delay: Duration,
    /// Upper end of any pause that we choose.
    pub max_delay: Duration,
    /// Longest pause that a `Retry-After` may ask for; a longer one is cut to this.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(15),
            max_retry_after: Duration::from_secs(60),
        }
    }
}

/// Bounds of talking to object stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferLimits {
    /// Requests under way at once in one call. Eight fill a 10 Gbit/s line to a store that gives
    /// 150 MB/s a connection.
    pub parallel_requests: usize,
    /// Requests under way at once in the whole client, so that many calls together stay bounded in
    /// sockets and memory (each holds at most three buffers of a chunk).
    pub parallel_requests_total: usize,
    /// Bytes read from a file at once for an upload. 512 KiB amortises the switch to the blocking
    /// pool.
    pub buffer_bytes: usize,
    /// Most bytes asked for by one ranged GET. Large enough that the request itself costs nothing,
    /// small enough that eight of them share any artifact.
    pub range_bytes: u64,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest time for one attempt of one part or range. A 64 MiB part at 1 Mbit/s takes nine
    /// minutes.
    pub request_timeout: Duration,
    /// Longest silence on a connection that should deliver.
    pub stall_timeout: Duration,
    /// Longest time for a whole call, retries included. Pre-signed URLs seldom live longer than an
    /// hour or two.
    pub total_timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Most redirects followed when an artifact is fetched. Pre-signed URLs are never redirected.
    pub redirects: usize,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            parallel_requests: 8,
            parallel_requests_total: 64,
            buffer_bytes: 512 * 1024,
            range_bytes: 32 * MIB,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(600),
            stall_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(2 * 60 * 60),
            retry: RetryPolicy::default(),
            redirects: 5,
        }
    }
}
