//! The bare tools: the jailer and Firecracker started by hand, in a chroot laid out beforehand.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;
use vmm::firecracker::{BootConfig, Devices};

use super::super::super::program::run;
use super::scene::FirecrackerScene;
use crate::error::HarnessError;

/// The tap that bare machines have, one at a time.
const TAP: &str = "tap0";
/// The namespace that holds it.
const NAMESPACE: &str = "cbenchfc";
/// Under which a bare Firecracker runs.
const UID: u32 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts bare machines, one at a time.
#[derive(Debug)]
pub(super) struct BareHost<'a> {
    scene: &'a FirecrackerScene<'a>,
    base: Utf8PathBuf,
}

/// A bare machine. It is killed by [`Bare::end`].
#[derive(Debug)]
pub(super) struct Bare {
    root: Utf8PathBuf,
    pid: i32,
}

impl<'a> BareHost<'a> {
    pub(super) fn prepare(scene: &'a FirecrackerScene<'a>) -> Result<Self, HarnessError> {
        let base = scene.scene.dir("bare-firecracker")?;
        run("ip", &["netns", "add", NAMESPACE])?;
        let uid = UID.to_string();
        run("ip", &["-n", NAMESPACE, "tuntap", "add", TAP, "mode", "tap", "user", &uid])?;
        Ok(Self { scene, base })
    }

    /// Boots a machine; how long it took from the jailer's start until Firecracker says that the guest runs.
    pub(super) async fn boot(&self, memory_mib: u64) -> Result<(Bare, Duration), HarnessError> {
        let root = self.chroot(&[("kernel", "kernel"), ("root.img", "disk-0")], None)?;
        let config = BootConfig {
            vcpus: 1,
            memory_mib,
            disks: 1,
            has_initrd: false,
            kernel_arguments: self.scene.kernel_arguments,
            devices: &Devices::default(),
        };
        let text = config.to_json().map_err(|error| HarnessError::value("the config", error))?;
        write(&root.join("config.json"), text.as_bytes())?;
        let began = Instant::now();
        let bare = self.spawn(root, &["--config-file", "config.json"]).await?;
        bare.wait_state("Running").await?;
        Ok((bare, began.elapsed()))
    }

    /// Starts a machine that goes on from a snapshot's directory; how long it took until its guest was resumed.
    pub(super) async fn restore(&self, from: &Utf8Path) -> Result<(Bare, Duration), HarnessError> {
        let names =
            [("memory.bin", "memory"), ("vmstate.bin", "vmstate"), ("system.img", "disk-0")];
        let root = self.chroot(&names, Some(from))?;
        let began = Instant::now();
        let bare = self.spawn(root, &[]).await?;
        let load = json!({
            "snapshot_path": "vmstate",
            "mem_backend": { "backend_type": "File", "backend_path": "memory" },
            "track_dirty_pages": true,
            "resume_vm": true,
        });
        bare.put("/snapshot/load", &load).await?;
        Ok((bare, began.elapsed()))
    }

    /// A chroot with these files of the image, or of a snapshot, in it: by clone, before any clock starts.
    fn chroot(
        &self,
        files: &[(&str, &str)],
        from: Option<&Utf8Path>,
    ) -> Result<Utf8PathBuf, HarnessError> {
        let machine = self.base.join("firecracker/bare");
        match std::fs::remove_dir_all(&machine) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(HarnessError::io(format!("remove {machine}"))(error));
            }
            Ok(()) | Err(_) => {}
        }
        let root = machine.join("root");
        std::fs::create_dir_all(&root).map_err(HarnessError::io(format!("make {root}")))?;
        let image = self.scene.image.dir();
        for (name, inside) in files {
            let (source, target) = (from.unwrap_or(&image).join(name), root.join(inside));
            super::super::scene::clone(&source, &target)?;
            std::os::unix::fs::chown(&target, Some(UID), Some(UID))
                .and_then(|()| std::fs::set_permissions(&target, Permissions::from_mode(0o600)))
                .map_err(HarnessError::io(format!("give {target} away")))?;
        }
        Ok(root)
    }

    async fn spawn(&self, root: Utf8PathBuf, further: &[&str]) -> Result<Bare, HarnessError> {
        let uid = UID.to_string();
        let namespace = format!("/run/netns/{NAMESPACE}");
        let status = Command::new(&self.scene.binaries.jailer)
            .args(["--id", "bare", "--exec-file", self.scene.binaries.firecracker.as_str()])
            .args(["--uid", &uid, "--gid", &uid, "--netns", &namespace, "--new-pid-ns"])
            .args(["--chroot-base-dir", self.base.as_str(), "--", "--api-sock", "api.sock"])
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .map_err(HarnessError::io("run the jailer"))?;
        if !status.success() {
            return Err(HarnessError::value("the bare jailer", status));
        }
        let path = root.join("firecracker.pid");
        let pid =
            std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
        let pid = pid.trim().parse().map_err(|error| HarnessError::value(path.as_str(), error))?;
        Ok(Bare { root, pid })
    }
}

impl Drop for BareHost<'_> {
    fn drop(&mut self) {
        if let Err(error) = run("ip", &["netns", "delete", NAMESPACE]) {
            eprintln!("bench: {}", error.chain());
        }
    }
}

impl Bare {
    async fn wait_state(&self, wanted: &str) -> Result<(), HarnessError> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(answer) = self.ask("GET", "/", None).await
                && answer.contains(&format!("\"state\":\"{wanted}\""))
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(HarnessError::value("a bare Firecracker", format!("it is not {wanted}")))
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<(), HarnessError> {
        self.told("PUT", path, body).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<(), HarnessError> {
        self.told("PATCH", path, body).await
    }

    async fn told(&self, method: &str, path: &str, body: &Value) -> Result<(), HarnessError> {
        let answer = self.ask(method, path, Some(body)).await?;
        if answer.starts_with("HTTP/1.1 204") {
            return Ok(());
        }
        Err(HarnessError::value(format!("{method} {path} of a bare Firecracker"), answer))
    }

    /// One request by hand; tried until the socket is there.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, HarnessError> {
        let failed = || HarnessError::io(format!("{method} {path} of a bare Firecracker"));
        let until = Instant::now() + PATIENCE;
        let mut stream = loop {
            match UnixStream::connect(self.root.join("api.sock")).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= until => return Err(failed()(error)),
                Err(_not_yet) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.map_err(failed())?;
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.map_err(failed())?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// A path inside, as the host sees it.
    pub(super) fn path(&self, name: &str) -> Utf8PathBuf {
        self.root.join(name)
    }

    /// A tmpfs inside is not to be had by hand without mounting one: what a snapshot writes goes to the chroot itself.
    pub(super) async fn snapshot(&self) -> Result<(), HarnessError> {
        self.patch("/vm", &json!({ "state": "Paused" })).await?;
        let create = json!({
            "snapshot_type": "Diff",
            "snapshot_path": "vmstate.new",
            "mem_file_path": "memory.new",
        });
        self.put("/snapshot/create", &create).await?;
        self.patch("/vm", &json!({ "state": "Resumed" })).await
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn end(self) -> Result<(), HarnessError> {
        let pid = rustix::process::Pid::from_raw(self.pid)
            .ok_or_else(|| HarnessError::value("a bare Firecracker", "it has no pid"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)
            .map_err(|error| HarnessError::io("end a bare Firecracker")(error.into()))?;
        let until = Instant::now() + PATIENCE;
        while rustix::process::test_kill_process(pid).is_ok() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

fn write(path: &Utf8Path, content: &[u8]) -> Result<(), HarnessError> {
    std::fs::write(path, content).map_err(HarnessError::io(format!("write {path}")))
}
