//! Tells the login webhook of every login.
//!
//! ```text
//!  sshd -> PAM -> pam_exec: computer-agent --report-login -> /run/computer/login.sock -> queue -> curl -> the webhook
//! ```
//! PAM runs the report as root when a session opens, whatever the user's shell or own files say. It only hands over who
//! logged in, so a webhook that does not answer delays nobody. curl gets URL and token through its standard input: they are
//! on no command line and in no environment. A clone tells nothing of what happened in its source.

mod post;
mod report;
mod webhook;

pub(crate) use post::{Logins, serve};
pub use report::report;
pub(crate) use webhook::{Webhook, missing};

/// Where reports arrive, only from root.
const SOCKET: &str = "/run/computer/login.sock";
