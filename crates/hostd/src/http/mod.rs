//! The API over HTTP: decode, plan, run, answer.
//!
//! - [`router`]: every endpoint of the contract's table at its handler; [`serve`]: the listeners; `auth`: the token.
//! - `decode` reads requests, `mutate` runs them, `encode` makes answers of records, `error` of everything else.
//! - One file per resource: `machines`, `snapshots`, `transfer` (upload and restore), `bytes`, `exec`, `files`, `filling`, `published_ports`, `mounts`, `volumes`, `operations`, `storage`, `host`.
//! - `by_host` leads to guests what is meant for their published HTTP ports.

mod answer;
mod api;
mod auth;
mod by_host;
mod bytes;
mod chunked;
mod decode;
mod encode;
mod error;
mod exec;
mod files;
mod filling;
mod fork;
mod host;
mod machines;
mod moment;
mod mounts;
mod mutate;
mod operations;
mod published_ports;
mod range;
mod retention;
pub mod router;
pub mod serve;
mod snapshots;
mod storage;
#[cfg(test)]
mod tests;
mod transfer;
mod volumes;

pub use api::Api;
pub use auth::Token;
pub use by_host::{ByHost, by_host};
pub use exec::Agents;
pub(crate) use exec::{ANSWER_GRACE, is_the_callers};
pub use moment::{Moment, Room};
