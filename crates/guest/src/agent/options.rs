//! The agent's command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::connect::Place;

/// What `computer-agent --help` prints.
pub const USAGE: &str = "\
computer-agent: the agent inside a guest of computer-host

Without arguments, and as process 1, it is the guest's init. It reaches the host through the virtio-serial port
named agent.0, through vsock, or through a Unix socket:

  --virtio-port auto|NAME|/dev/PATH  the port; auto is agent.0 (default when no other way is given)
  --vsock-port N                     listen on this vsock port
  --listen-unix PATH                 listen on a Unix socket, plain stream
  --listen-unix-framed PATH          the same, with the framing of virtio-serial
  --exec-listen ADDRESS|PATH         where commands are run over Connect RPC, once the host allows it (as init 0.0.0.0:49983)
  --no-init                          do not act as init, even as process 1
  --root DIR                         where etc, home and run are found (default /)
  --workspace DIR                    where relative paths of files begin (default /home/node/workspace)
  --login-user NAME                  who gets the authorized keys (default node)
  --shutdown-command PATH            run with `poweroff` or `reboot` when asked to shut down and not init
  --report-login                     tell the agent of a login, as pam_exec's variables describe it
  --version, --help
";

/// What the agent is in its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its first process.
    Init,
    /// One that something else started.
    Service,
}

impl Role {
    /// By its process id.
    pub fn of_this_process() -> Role {
        if std::process::id() == 1 { Role::Init } else { Role::Service }
    }
}

/// The whole configuration of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The virtio-serial port, by name or path.
    pub virtio_port: Option<String>,
    /// The vsock port to listen on.
    pub vsock_port: Option<u32>,
    /// A Unix socket for plain streams.
    pub listen_unix: Option<PathBuf>,
    /// A Unix socket for framed streams.
    pub listen_unix_framed: Option<PathBuf>,
    /// Where commands are run over Connect RPC.
    pub(crate) exec_listen: Option<Place>,
    /// Never acts as init.
    pub no_init: bool,
    /// Where etc, home and run are.
    pub root: PathBuf,
    /// Where relative paths begin.
    pub workspace: PathBuf,
    /// Whose authorized keys are set.
    pub login_user: String,
    /// What ends the machine when the agent is not init.
    pub shutdown_command: Option<PathBuf>,
}

/// The port's name in QEMU's command line.
const DEFAULT_PORT: &str = "agent.0";

/// The port is that of E2B's daemon, which its clients look for.
const DEFAULT_EXEC_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 49_983);

impl Default for Options {
    fn default() -> Self {
        Options {
            virtio_port: None,
            vsock_port: None,
            listen_unix: None,
            listen_unix_framed: None,
            exec_listen: None,
            no_init: false,
            root: PathBuf::from("/"),
            workspace: PathBuf::from("/home/node/workspace"),
            login_user: "node".to_owned(),
            shutdown_command: None,
        }
    }
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run.
    Run(Options),
    /// Tell the agent of a login; its files are beneath this root.
    ReportLogin(PathBuf),
    /// Print [`USAGE`].
    Help,
    /// Print the version.
    Version,
}

/// Why a command line is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionsError {
    /// There is no such flag.
    #[error("unknown argument {0:?}")]
    Unknown(OsString),
    /// The flag needs a value, and that of the right form.
    #[error("{flag} needs {wanted}")]
    Value {
        /// The flag.
        flag: String,
        /// What it needs.
        wanted: &'static str,
    },
}

impl Invocation {
    /// Reads the arguments behind the program's name. The kernel gives process 1 the words of its command line that it
    /// does not know itself: those pass.
    ///
    /// # Errors
    /// See [`OptionsError`].
    pub fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        role: Role,
    ) -> Result<Invocation, OptionsError> {
        let mut options = Options::default();
        let mut rest = arguments.into_iter();
        let mut reports_login = false;
        while let Some(argument) = rest.next() {
            let flag = argument.to_string_lossy().into_owned();
            match flag.as_str() {
                "--help" => return Ok(Invocation::Help),
                "--version" => return Ok(Invocation::Version),
                "--report-login" => reports_login = true,
                "--no-init" => options.no_init = true,
                "--virtio-port" => options.virtio_port = Some(port(text(&flag, rest.next())?)),
                "--vsock-port" => options.vsock_port = Some(number(&flag, rest.next())?),
                "--listen-unix" => options.listen_unix = Some(path(&flag, rest.next())?),
                "--listen-unix-framed" => {
                    options.listen_unix_framed = Some(path(&flag, rest.next())?);
                }
                "--exec-listen" => options.exec_listen = Some(place(&flag, rest.next())?),
                "--root" => options.root = absolute(&flag, rest.next())?,
                "--workspace" => options.workspace = path(&flag, rest.next())?,
                "--login-user" => options.login_user = text(&flag, rest.next())?,
                "--shutdown-command" => options.shutdown_command = Some(path(&flag, rest.next())?),
                _ if role == Role::Init => {}
                _ => return Err(OptionsError::Unknown(argument)),
            }
        }
        if reports_login && role == Role::Service {
            return Ok(Invocation::ReportLogin(options.root));
        }
        if role == Role::Init && options.exec_listen.is_none() {
            options.exec_listen = Some(Place::Tcp(DEFAULT_EXEC_ADDRESS));
        }
        if options.has_no_channel() {
            options.virtio_port = Some(DEFAULT_PORT.to_owned());
        }
        Ok(Invocation::Run(options))
    }
}

impl Options {
    /// Vsock in place of a virtio-serial port that nobody asked for by another name.
    pub(crate) fn reach_by_vsock(&mut self, port: u32) {
        if self.virtio_port.as_deref() == Some(DEFAULT_PORT) {
            self.virtio_port = None;
        }
        self.vsock_port = Some(port);
    }

    fn has_no_channel(&self) -> bool {
        self.virtio_port.is_none()
            && self.vsock_port.is_none()
            && self.listen_unix.is_none()
            && self.listen_unix_framed.is_none()
    }
}

fn port(name: String) -> String {
    if name == "auto" { DEFAULT_PORT.to_owned() } else { name }
}

fn place(flag: &str, value: Option<OsString>) -> Result<Place, OptionsError> {
    let text = text(flag, value)?;
    Ok(match text.parse() {
        Ok(address) => Place::Tcp(address),
        Err(_no_address) => Place::Unix(text.into()),
    })
}

fn text(flag: &str, value: Option<OsString>) -> Result<String, OptionsError> {
    value
        .and_then(|value| value.into_string().ok())
        .ok_or_else(|| OptionsError::Value { flag: flag.to_owned(), wanted: "a value" })
}

fn path(flag: &str, value: Option<OsString>) -> Result<PathBuf, OptionsError> {
    value
        .map(PathBuf::from)
        .ok_or_else(|| OptionsError::Value { flag: flag.to_owned(), wanted: "a path" })
}

/// Helpers run in a directory of their own.
fn absolute(flag: &str, value: Option<OsString>) -> Result<PathBuf, OptionsError> {
    std::path::absolute(path(flag, value)?)
        .map_err(|_| OptionsError::Value { flag: flag.to_owned(), wanted: "a path" })
}

fn number(flag: &str, value: Option<OsString>) -> Result<u32, OptionsError> {
    text(flag, value)?
        .parse()
        .map_err(|_| OptionsError::Value { flag: flag.to_owned(), wanted: "a number" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str], role: Role) -> Result<Invocation, OptionsError> {
        Invocation::parse(words.iter().map(OsString::from), role)
    }

    #[test]
    fn without_arguments_the_port_named_agent_0_is_used() {
        let expected = Options { virtio_port: Some("agent.0".into()), ..Options::default() };
        assert_eq!(parse(&[], Role::Service), Ok(Invocation::Run(expected.clone())));
        assert_eq!(parse(&["--virtio-port", "auto"], Role::Service), Ok(Invocation::Run(expected)));
    }

    #[test]
    fn an_unknown_word_is_refused_but_by_init() {
        assert!(matches!(parse(&["splash"], Role::Service), Err(OptionsError::Unknown(_))));
        assert!(matches!(parse(&["splash"], Role::Init), Ok(Invocation::Run(_))));
    }

    #[test]
    fn a_flag_without_its_value_is_refused() {
        assert!(matches!(parse(&["--listen-unix"], Role::Init), Err(OptionsError::Value { .. })));
        assert!(matches!(
            parse(&["--vsock-port", "x"], Role::Service),
            Err(OptionsError::Value { .. })
        ));
    }
}
