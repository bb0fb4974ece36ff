//! The host's side of the agent channel.
//!
//! A [`Client`] stands for one machine's agent. Making one does nothing; the first call connects, a call after the
//! channel broke connects again, [`Client::disconnect`] frees everything but the path. It is cheap to clone.
//! Every call takes a deadline as a duration, counted from the call and with the connecting inside it.
//!
//! ```no_run
//! # use std::{path::PathBuf, time::Duration};
//! # use guest::client::{Client, ClientError, Command, Event, Target};
//! # async fn example() -> Result<(), ClientError> {
//! let client = Client::new(Target::VirtioSerial { socket: PathBuf::from("jail/agent.sock") });
//! let agent = client.wait_ready(Duration::from_secs(60)).await?; // connects until the agent answers
//! client.configure(Default::default(), Duration::from_secs(10)).await?;
//!
//! // All at once, with a bound on what is kept:
//! let output = client.run("exec-1", Command::new(["nproc"]).user("node"), Duration::from_secs(30), 1 << 20).await?;
//! assert!(output.exit.is_some_and(|exit| exit.exit_code == 0)); // no exit: the deadline passed
//!
//! // Or as it comes; attaches again by itself when the channel breaks, no byte lost or doubled:
//! let mut session = client.start("exec-2", Command::new(["cat"]).stdin(), Duration::from_secs(5)).await?;
//! if let Some(mut input) = session.take_input() { // a half of its own: another task may write
//!     input.write(b"hello\n".as_slice().into(), Duration::from_secs(5)).await?;
//!     input.close(Duration::from_secs(5)).await?;
//! }
//! while let Some(event) = session.next_event(Duration::from_secs(30)).await? {
//!     match event {
//!         Event::Stdout(bytes) | Event::Stderr(bytes) => println!("{bytes:?}"),
//!         Event::Lost { .. } => {} // only with Command::drop_oldest_output
//!         Event::Exit(exit) => println!("{}", exit.exit_code),
//!     }
//! }
//! session.remove(Duration::from_secs(5)).await?;
//!
//! // A snapshot freezes, a restore renews:
//! client.freeze(Duration::from_secs(2), Duration::from_secs(10)).await?;
//! client.thaw(Duration::from_secs(2)).await?;
//! # Ok(()) }
//! ```
//!
//! Renewing a clone (promise P8): [`Client::connect_ahead`] *before* the VMM resumes, then resume, then at once
//! [`Client::renew`], whose hello keeps the guest from thawing by itself.

mod command;
mod connection;
mod control;
mod core;
mod error;
mod file_reader;
mod file_writer;
mod files;
mod input;
mod mounts;
mod run;
mod session;
mod target;

pub use self::command::Command;
pub use self::control::Renewal;
pub use self::core::Client;
pub use self::error::ClientError;
pub use self::file_reader::FileReader;
pub use self::file_writer::FileWriter;
pub use self::files::Watch;
pub use self::input::{SessionControl, SessionInput, Stdin};
pub use self::run::Output;
pub use self::session::{Event, Session};
pub use self::target::Target;
pub use tonic::Code;
