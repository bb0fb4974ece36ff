//! An agent of a test's own, and what tests say to it.

mod relay;

use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use guest::client::{Client, Command, Output, Target};
use tempfile::TempDir;

pub(crate) use relay::Relay;

/// Far beyond what anything here takes, even on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The most output that a test looks at.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// How the agent is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Framed,
}

/// A running agent with a root of its own. It ends with the value, and leaves nothing.
#[derive(Debug)]
pub(crate) struct Agent {
    process: Child,
    directory: TempDir,
    transport: Transport,
}

impl Agent {
    /// Starts one with `/` as its root, for commands.
    pub(crate) fn start(transport: Transport) -> Agent {
        Agent::start_with(transport, &[])
    }

    /// Starts one whose etc, home and run are in [`Agent::root`].
    pub(crate) fn start_with_own_root(transport: Transport) -> Agent {
        Agent::start_with(transport, &["--root", "root"])
    }

    /// Starts one that also serves Connect RPC, at [`Agent::path`] of `exec.sock`.
    pub(crate) fn start_with_exec_server() -> Agent {
        Agent::start_with(Transport::Framed, &["--root", "root", "--exec-listen", "exec.sock"])
    }

    fn start_with(transport: Transport, arguments: &[&str]) -> Agent {
        let directory = tempfile::tempdir().expect("a directory");
        make_root(&directory.path().join("root"));
        let flag = match transport {
            Transport::Plain => "--listen-unix",
            Transport::Framed => "--listen-unix-framed",
        };
        let process = Process::new(env!("CARGO_BIN_EXE_computer-agent"))
            .current_dir(directory.path())
            .args([flag, "agent.sock", "--no-init", "--workspace", "/workspace"])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("the agent starts");
        Agent { process, directory, transport }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    /// A path in the test's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn target(&self, socket: PathBuf) -> Target {
        match self.transport {
            Transport::Plain => Target::Unix { socket },
            Transport::Framed => Target::VirtioSerial { socket },
        }
    }

    /// A client that the agent has answered.
    pub(crate) async fn client(&self) -> Client {
        self.client_at(self.socket()).await
    }

    pub(crate) async fn client_at(&self, socket: PathBuf) -> Client {
        let client = Client::new(self.target(socket));
        client.wait_ready(SOON).await.expect("the agent answers");
        client
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let status = self.process.wait().expect("it is our child");
        if !std::thread::panicking() {
            assert!(status.success(), "the agent ended with {status}");
        }
    }
}

fn make_root(root: &Path) {
    for directory in ["etc/computer/clone.d", "etc/ssh", "home/node", "run", "workspace"] {
        std::fs::create_dir_all(root.join(directory)).expect("a directory");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnode:x:12345:12345::/home/node:/bin/sh\n";
    std::fs::write(root.join("etc/passwd"), passwd).expect("a file");
}

/// A command of the shell.
pub(crate) fn shell(script: &str) -> Command {
    Command::new(["/bin/sh", "-c", script]).timeout(SOON)
}

/// Runs a script to its end.
pub(crate) async fn run(client: &Client, id: &str, script: &str) -> Output {
    client.run(id, shell(script), SOON, MOST_BYTES).await.expect("it runs")
}

pub(crate) fn exit_code(output: &Output) -> i32 {
    output.exit.as_ref().expect("it ended").exit_code
}

/// Waits for a condition, which must come true.
pub(crate) async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_true().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Why a test of cgroups cannot run here, when it cannot.
pub(crate) async fn lacks_cgroups(client: &Client) -> bool {
    let agent = client.handshake(SOON).await.expect("the agent answers");
    let lacks = !agent.capabilities.iter().any(|word| word == "freeze");
    if lacks {
        println!("skipped: no cgroup of version 2 that this user may make groups in");
    }
    lacks
}

/// Why a test that changes users cannot run here, when it cannot.
pub(crate) fn lacks_root() -> bool {
    let lacks = !rustix::process::geteuid().is_root();
    if lacks {
        println!("skipped: needs root");
    }
    lacks
}
