//! A real `computerd`: started, asked, stopped, and killed.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use contract::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::audit::Audit;
use crate::error::HarnessError;
use crate::filling::{self, Filling};
use crate::mortal::{self, Death};
use crate::number::HostNumber;
use crate::program::program;
use crate::wait::until;

/// From its start to its first answer.
const READY: Duration = Duration::from_secs(60);
/// From SIGTERM to its end.
const STOP: Duration = Duration::from_secs(60);

/// One host: a root, a place in the network, and the daemon on it, living or dead.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    root: Utf8PathBuf,
    images: Utf8PathBuf,
    number: HostNumber,
    child: Option<Child>,
    settings: Vec<String>,
}

impl Daemon {
    /// Starts a daemon with a root of its own in `place`. Machines may be made of what lies in `images`.
    pub async fn start(
        place: &Utf8Path,
        name: &str,
        images: &Utf8Path,
    ) -> Result<Self, HarnessError> {
        Self::start_with(place, name, images, &[]).await
    }

    /// Starts it with further settings, as `section.key=value`.
    pub async fn start_with(
        place: &Utf8Path,
        name: &str,
        images: &Utf8Path,
        settings: &[&str],
    ) -> Result<Self, HarnessError> {
        let mut daemon = Self {
            name: name.to_owned(),
            root: place.join(name),
            images: images.to_owned(),
            number: HostNumber::take()?,
            child: None,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
        };
        daemon.restart().await?;
        Ok(daemon)
    }

    /// Starts it again on the same root, and waits until it answers.
    pub async fn restart(&mut self) -> Result<(), HarnessError> {
        self.spawn(Command::new(program("computerd")?))?;
        self.answers().await
    }

    /// Starts one again that will end itself, and waits until it answers.
    pub async fn restart_mortal(&mut self, death: &Death) -> Result<(), HarnessError> {
        let mut command = Command::new(program("mortal-computerd")?);
        command.env(mortal::VARIABLE, death.to_string());
        self.spawn(command)?;
        self.answers().await
    }

    /// Starts one again whose disk will be full for a step, and waits until it answers.
    pub async fn restart_filling(&mut self, filling: &Filling) -> Result<(), HarnessError> {
        let mut command = Command::new(program("mortal-computerd")?);
        command.env(filling::VARIABLE, filling.to_string());
        self.spawn(command)?;
        self.answers().await
    }

    async fn answers(&mut self) -> Result<(), HarnessError> {
        let client = self.client();
        for _ in 0..READY.as_millis() / 25 {
            if client.health().await.is_ok() {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && child.try_wait().map_err(HarnessError::io("look at computerd"))?.is_some()
            {
                return Err(HarnessError::DaemonEnded(self.log_tail()));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(HarnessError::Deadline { what: "an answer of computerd".into(), deadline: READY })
    }

    fn spawn(&mut self, mut command: Command) -> Result<(), HarnessError> {
        let path = self.log();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(HarnessError::io(format!("open {path}")))?;
        let both = log.try_clone().map_err(HarnessError::io(format!("open {path}")))?;
        command.args(["--root", self.root.as_str()]);
        let ours = [
            format!("image_dirs=[\"{}\"]", self.images),
            format!("network.address_block=\"{}\"", self.number.address_block()),
            format!("first_uid={}", self.number.first_uid()),
            "overcommit.memory=4.0".into(),
            "overcommit.disk=8.0".into(),
        ];
        let ports = self.number.relay_ranges();
        for setting in ours.iter().chain(&ports).chain(&self.settings) {
            command.args(["--set", setting]);
        }
        let child = command
            .stdin(std::process::Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn()
            .map_err(HarnessError::io("start computerd"))?;
        self.child = Some(child);
        Ok(())
    }

    /// How it is asked.
    pub fn client(&self) -> Client {
        Client::unix(self.socket())
    }

    /// Its socket.
    pub fn socket(&self) -> Utf8PathBuf {
        self.root.join("computerd.sock")
    }

    /// Its root.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Its name in the test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pid, while it lives.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Eight hex digits, in the name of all that it makes.
    pub fn host_id(&self) -> Result<String, HarnessError> {
        let path = self.root.join("state/host_id");
        let text =
            std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
        Ok(text.trim().to_owned())
    }

    fn log(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("{}.log", self.root))
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// kill -9, and nothing else: its machines live on.
    pub async fn kill(&mut self) -> Result<(), HarnessError> {
        self.signal(Signal::KILL)?;
        self.ended().await.map(drop)
    }

    /// Asks it to stop and waits until it has; its machines live on.
    pub async fn stop(&mut self) -> Result<(), HarnessError> {
        self.signal(Signal::TERM)?;
        let status = self.ended().await?;
        if status.success() {
            return Ok(());
        }
        let how = status.signal().map_or_else(|| status.to_string(), |s| format!("signal {s}"));
        Err(HarnessError::DaemonEnded(format!("{how}\n{}", self.log_tail())))
    }

    fn signal(&self, signal: Signal) -> Result<(), HarnessError> {
        let Some(pid) = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())) else {
            return Ok(());
        };
        kill_process(pid, signal)
            .map_err(|error| HarnessError::io("signal computerd")(error.into()))
    }

    async fn ended(&mut self) -> Result<ExitStatus, HarnessError> {
        let Some(mut child) = self.child.take() else { return Ok(ExitStatus::default()) };
        tokio::time::timeout(STOP, child.wait())
            .await
            .map_err(|_| HarnessError::Deadline {
                what: "the end of computerd".into(),
                deadline: STOP,
            })?
            .map_err(HarnessError::io("wait for computerd"))
    }

    /// Waits until it has ended, or until no operation is open; whether it has ended.
    pub async fn died_or_quiet(&mut self) -> Result<bool, HarnessError> {
        let client = self.client();
        let Some(child) = &mut self.child else { return Ok(true) };
        tokio::select! {
            ended = child.wait() => ended.map(|_| true).map_err(HarnessError::io("wait for computerd")),
            quiet = quiet(&client) => match quiet {
                Ok(()) => Ok(false),
                // It died between two looks.
                Err(error) => child.try_wait().ok().flatten().map(|_| true).ok_or(error),
            },
        }
    }

    /// Waits until no operation is open.
    pub async fn quiet(&self) -> Result<(), HarnessError> {
        quiet(&self.client()).await
    }

    /// Deletes what forks were made from: it is in no list, and the daemon keeps it for minutes, for a request that is repeated.
    async fn forget_forks(&self) -> Result<(), HarnessError> {
        let dir = self.root.join("snapshots");
        let names = dir.read_dir_utf8().map_err(HarnessError::io(format!("list {dir}")))?;
        for name in names.filter_map(Result::ok) {
            if let Ok(id) = name.file_name().parse() {
                let client = self.client();
                until(
                    "the end of what a fork was made from",
                    Duration::from_secs(30),
                    async || client.delete_snapshot(&id).await.ok(),
                )
                .await?;
            }
        }
        self.quiet().await
    }

    /// Deletes all machines and snapshots, stops the daemon, and says what is left of it on this machine.
    pub async fn finish(mut self) -> Result<(), HarnessError> {
        if self.child.is_none() {
            self.restart().await?;
        }
        let client = self.client();
        for machine in client.list_machines().await? {
            client.delete_machine(&machine.id).await?;
        }
        for snapshot in client.list_snapshots().await? {
            client.delete_snapshot(&snapshot.id).await?;
        }
        for volume in client.list_volumes().await? {
            client.delete_volume(&volume.id).await?;
        }
        self.quiet().await?;
        self.forget_forks().await?;
        let audit = Audit::new(&self.root, &self.host_id()?);
        self.stop().await?;
        let left = audit.left();
        if left.is_empty() {
            return Ok(());
        }
        Err(HarnessError::value(
            format!("the host {} after everything was deleted", self.name),
            format!("left behind: {}\n{}", left.join("; "), self.log_tail()),
        ))
    }
}

async fn quiet(client: &Client) -> Result<(), HarnessError> {
    until("the end of all operations", Duration::from_secs(120), async || {
        let operations = client.list_operations(None).await.ok()?;
        operations.iter().all(|operation| operation.ended_at.is_some()).then_some(())
    })
    .await
}

impl Drop for Daemon {
    /// A test that failed leaves nothing running: what carries this host's id is ended with it.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child
            && let Err(error) = child.start_kill()
        {
            eprintln!("harness: kill computerd: {error}");
        }
        if let Ok(host_id) = self.host_id() {
            Audit::new(&self.root, &host_id).end_everything();
        }
    }
}
