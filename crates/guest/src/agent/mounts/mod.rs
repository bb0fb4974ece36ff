//! Buckets as directories of the guest: one rclone each, started and watched here.
//!
//! ```text
//!   Mounting --the kernel shows it, and it can be listed--> Mounted --rclone ends--> Failed
//!       \-- rclone ends, or the deadline passes --> Failed
//! ```
//! rclone runs among the guest's processes, so that a snapshot freezes it; a clone ends what it inherited before anything thaws.

mod config;
mod error;
mod process;
mod table;

pub(crate) use error::MountError;
pub(crate) use table::Mounts;
