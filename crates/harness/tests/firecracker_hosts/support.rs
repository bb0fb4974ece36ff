//! What each of these tests stands on: a place, the polled guest, and hosts that are audited at the end.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use contract::machine::{CreateMachineRequest, GuestProtocol};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::guest_image::GuestImage;
use harness::machine::{Machine, small};
use harness::polled::ticks;
use harness::storage::Storage;
use harness::wait::until;
use vmm::jail::ring;

const TEST: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// Firecracker and its jailer.
pub(crate) struct Binaries {
    pub(crate) firecracker: Utf8PathBuf,
    pub(crate) jailer: Utf8PathBuf,
}

/// A place for hosts, and what machines are made of.
pub(crate) struct Place {
    pub(crate) storage: Storage,
    pub(crate) image: GuestImage,
    pub(crate) binaries: Binaries,
}

impl Place {
    pub(crate) async fn host(&self, name: &str) -> Result<Daemon, HarnessError> {
        self.host_with(name, &[]).await
    }

    pub(crate) async fn host_with(
        &self,
        name: &str,
        further: &[&str],
    ) -> Result<Daemon, HarnessError> {
        let Binaries { firecracker, jailer } = &self.binaries;
        let settings = [
            "vmm=firecracker".to_owned(),
            format!("firecracker.binary=\"{firecracker}\""),
            format!("firecracker.jailer=\"{jailer}\""),
            format!("firecracker.kvm=\"{}\"", kvm()),
            "deadlines.stop_ms=3000".to_owned(),
            "deadlines.reconcile_interval_ms=1000".to_owned(),
        ];
        let ours = settings.iter().map(String::as_str);
        let settings: Vec<&str> = ours.chain(further.iter().copied()).collect();
        Daemon::start_with(self.storage.path()?, name, &self.image.images, &settings).await
    }

    pub(crate) fn request(&self, name: &str) -> Result<CreateMachineRequest, HarnessError> {
        Ok(CreateMachineRequest {
            guest_protocol: GuestProtocol::None,
            storage_bytes: Some(1 << 20),
            ..small(name, &self.image)?
        })
    }
}

/// What real Firecrackers need, if it is here; else why not.
fn binaries() -> Result<Binaries, String> {
    if let Some(reason) = harness::program::missing() {
        return Err(reason);
    }
    for path in [kvm().as_str(), "/usr/bin/gcc"] {
        if !Utf8Path::new(path).exists() {
            return Err(format!("no {path}"));
        }
    }
    Ok(Binaries {
        firecracker: find("COMPUTER_FIRECRACKER", "firecracker")?,
        jailer: find("COMPUTER_JAILER", "jailer")?,
    })
}

/// What guests run by. The simulator needs nothing of the kind.
fn kvm() -> String {
    std::env::var("COMPUTER_FIRECRACKER_KVM").unwrap_or_else(|_| "/dev/kvm".to_owned())
}

fn find(variable: &str, name: &str) -> Result<Utf8PathBuf, String> {
    if let Ok(path) = std::env::var(variable) {
        return Ok(path.into());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').map(|dir| Utf8Path::new(dir).join(name)).find(|at| at.is_file());
    found.ok_or_else(|| format!("{variable} is not set, and no {name} is on PATH"))
}

/// Runs a test whose guest needs a network that moves packets.
pub(crate) fn in_network(test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>) {
    if is_simulated() {
        return println!("skipped: a simulated guest has no network");
    }
    in_place(test);
}

fn is_simulated() -> bool {
    let simulator = harness::program::target_dir().map(|dir| dir.join("lib/simulator/firecracker"));
    let ours = binaries().ok().and_then(|binaries| binaries.firecracker.canonicalize().ok());
    ours.is_some() && ours == simulator.ok().and_then(|path| path.canonicalize().ok())
}

/// Runs a test where Firecracker can run, and says why not elsewhere.
pub(crate) fn in_place(test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>) {
    let binaries = match binaries() {
        Ok(binaries) => binaries,
        Err(reason) => {
            let is_wanted = std::env::var_os("COMPUTER_FIRECRACKER_REQUIRED").is_some();
            assert!(!is_wanted, "not tried: {reason}");
            return println!("skipped: {reason}");
        }
    };
    let image = GuestImage::polled().unwrap_or_else(|error| panic!("{}", error.chain()));
    let place = Place { storage: Storage::make().unwrap(), image, binaries };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(async { tokio::time::timeout(TEST, test(&place)).await });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{}", error.chain()),
        Err(_) => panic!("the test did not end within {TEST:?}"),
    }
}

/// All that a machine's console still holds of this run.
pub(crate) fn console(host: &Daemon, machine: &Machine) -> String {
    let path = host.root().join("machines").join(machine.id.as_str()).join("logs/console.ring");
    String::from_utf8_lossy(&ring::read_tail(&path, usize::MAX).unwrap()).into_owned()
}

/// Waits until the guest has counted beyond a value; answers how far it is.
pub(crate) async fn beyond(
    host: &Daemon,
    machine: &Machine,
    value: u64,
) -> Result<u64, HarnessError> {
    until("a counter that moves on", PATIENCE, async || {
        let last = ticks(&console(host, machine)).ok()?.last().copied()?;
        (last > value).then_some(last)
    })
    .await
}

/// The first count that a restored guest shows.
pub(crate) async fn first(host: &Daemon, machine: &Machine) -> Result<u64, HarnessError> {
    until("a counter that shows itself", PATIENCE, async || {
        ticks(&console(host, machine)).ok()?.first().copied()
    })
    .await
}

/// What the guest says of its counter over a TCP connection through its namespace.
pub(crate) async fn over_tcp(machine: &Machine, port: u16) -> Result<u64, HarnessError> {
    let record = machine.show().await?;
    let host = record.runtime_host.ok_or_else(|| HarnessError::value("runtime_host", "absent"))?;
    let asked = tokio::task::spawn_blocking(move || ask(host, port)).await.unwrap();
    asked.map_err(HarnessError::io("ask the guest over TCP"))
}

fn ask(host: IpAddr, port: u16) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect_timeout(&(host, port).into(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"?\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let number = answer.trim().strip_prefix("n=").and_then(|number| number.parse().ok());
    number.ok_or_else(|| std::io::Error::other(answer))
}
