//! A daemon that serves the routes it is given, and the program run against it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Daemon {
    socket: PathBuf,
    server: JoinHandle<()>,
    _directory: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Daemon {
    pub(crate) fn serve(routes: Router) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("computerd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { socket, server, _directory: directory }
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[], b"").await
    }

    /// Runs the program with variables and input. It sees no other variables of the tests' own environment.
    pub(crate) async fn run_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
        input: &[u8],
    ) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_computer"))
            .args(arguments)
            .env_clear()
            .env("COMPUTER_SOCKET", &self.socket)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feeding = async move {
            // A program that needs no input may have ended before it was fed.
            match stdin.write_all(input).await {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("{error}"),
                Ok(()) | Err(_) => drop(stdin),
            }
        };
        let ending = tokio::time::timeout(DEADLINE, child.wait_with_output());
        let ((), ended) = tokio::join!(feeding, ending);
        let output = ended.expect("the program ends in time").unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A machine as daemons answer it.
pub(crate) fn machine(id: &str, phase: &str, error: &str) -> Value {
    json!({
        "id": id, "artifact": artifact(), "system_volume_id": format!("{id}-system"), "user_volume_ids": [],
        "runtime_host": "10.0.0.2", "ports": [], "guest_ssh_host_public_key": "", "phase": phase, "error": error,
        "created_at": "2026-11-24T23:17:00Z",
    })
}

/// What such a machine boots.
pub(crate) fn artifact() -> Value {
    json!({"kernel_image_url": "http://images.example/kernel", "rootfs_url": "http://images.example/root"})
}
