//! The bounds that both ends keep (promise P10: guests are hostile, and so may be what runs in them).

/// The version of `proto/agent.proto`. A peer with another version is refused at the handshake.
pub const PROTOCOL_VERSION: u32 = 1;

/// The largest message of the RPC, in either direction.
pub const MESSAGE_BYTES: usize = 256 * 1024;

/// The most data that one message of a stream carries.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// What an HTTP/2 peer may send on one stream before the reader has taken it.
pub const STREAM_WINDOW_BYTES: u32 = 128 * 1024;

/// The same for a whole connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// What an HTTP/2 end buffers for sending on one stream.
pub const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Header lists of one request or answer.
pub const HEADER_LIST_BYTES: u32 = 16 * 1024;

/// Calls that run at once on one connection.
pub const CONCURRENT_STREAMS: u32 = 128;

/// Sessions that the agent keeps, running and ended together.
pub const SESSIONS: usize = 64;

/// Output streams of ended commands that background processes still hold open.
pub const LINGERING_OUTPUTS: usize = 256;

/// Output kept of a session, stdout and stderr together: what nobody has read, and before it what was read already, for
/// a host that has to read it again.
pub const OUTPUT_BYTES: usize = 512 * 1024;

/// How much of that may be unread before the command waits. The rest is always there to be read again: more than lies in
/// sockets between this host's agent client and its own client.
pub const UNREAD_BYTES: usize = 256 * 1024;

/// Changes from one stream to the other that are kept with the output.
pub const OUTPUT_RUNS: usize = 8192;

/// Bytes for a session's stdin that the command has not read yet.
pub const STDIN_BYTES: usize = 128 * 1024;

/// Words of one command and variables of one environment.
pub const COMMAND_WORDS: usize = 4096;

/// All words and variables of a Start together.
pub const COMMAND_BYTES: usize = 128 * 1024;

/// Length of a session id.
pub const SESSION_ID_BYTES: usize = 64;

/// Keys in one list of an identity, and the length of each.
pub const KEYS: usize = 256;

/// Length of one key line.
pub const KEY_BYTES: usize = 16 * 1024;

/// Length of a path.
pub const PATH_BYTES: usize = 4096;

/// Data of one file stream that is under way and not taken by its reader.
pub const WINDOW_BYTES: u64 = 256 * 1024;

/// Short file calls that run at once, and wait for the file system.
pub const FILE_CALLS: usize = 4;

/// File streams, listings and searches that run at once.
pub const FILE_STREAMS: usize = 12;

/// Levels of directories that are gone into: each holds a descriptor.
pub const WALK_LEVELS: usize = 64;

/// Entries of one listing.
pub const LISTED_ENTRIES: u32 = 10_000;

/// Matches of one search.
pub const GREP_MATCHES: u32 = 10_000;

/// What is told of a line that matched.
pub const GREP_LINE_BYTES: usize = 4096;

/// All matches of one search.
pub const GREP_BYTES: usize = 4 << 20;

/// Directories that one watch sees into.
pub const WATCHED_DIRECTORIES: usize = 4096;

/// Stores that a guest mounts.
pub const MOUNTS: usize = 16;

/// Randomness of one reseed.
pub const SEED_BYTES: std::ops::RangeInclusive<usize> = 32..=512;

/// Hooks in /etc/computer/clone.d.
pub const HOOKS: usize = 64;
