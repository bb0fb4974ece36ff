//! Preparing a host: `computer setup storage` gives it a file system that clones files in an instant.
//!
//! `facts` finds out what the host has, `plan` decides (pure), `apply` does it. What is there already stays.

mod apply;
mod arguments;
mod error;
mod facts;
mod fstab;
mod mounts;
mod plan;
mod reflink;
mod storage;

pub(crate) use self::reflink::can_reflink;
pub use self::{
    arguments::{SetupArguments, SetupCommand, StorageArguments},
    error::SetupError,
    storage::{SetupAnswer, run},
};
