//! QEMU with the command line that a daemon gives it, started by hand: no daemon, no jail, no namespace.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use guest::client::{Client, Target};
use tokio::process::{Child, Command};
use vmm::host::HostFacts;
use vmm::qemu::command_line::{Accelerator, CommandLine, MemoryMapping, Start};
use vmm::qemu::default_kernel_arguments;
use vmm::qemu::qmp::{Monitor, VmStatus};

use super::scene::{DISK_BYTES, READY, Scene, clone};
use crate::error::HarnessError;
use crate::program::run;
use crate::wait::until;

const QEMU: &str = "/usr/bin/qemu-system-x86_64";
/// What the taps of bare machines are called, a number following.
const TAP: &str = "cbench";
/// One exchange with a monitor.
const MONITOR: Duration = Duration::from_secs(20);

/// Starts bare machines, one at a time, in a directory of its own.
#[derive(Debug)]
pub(super) struct BareHost {
    dir: Utf8PathBuf,
    tap: String,
    kernel: Utf8PathBuf,
    initrd: Utf8PathBuf,
    base_disk: Utf8PathBuf,
    accelerator: Accelerator,
    tsc_khz: u64,
}

/// A bare machine. It is killed when dropped.
#[derive(Debug)]
pub(super) struct Bare {
    child: Child,
    dir: Utf8PathBuf,
}

/// The files of a snapshot that a bare machine goes on from.
#[derive(Debug, Clone)]
pub(super) struct BareSnapshot {
    /// The directory that holds them.
    pub(super) dir: Utf8PathBuf,
}

impl BareHost {
    /// Prepares the disk and the tap.
    pub(super) fn prepare(scene: &Scene) -> Result<Self, HarnessError> {
        Self::numbered(scene, 0)
    }

    /// One of several beside each other.
    pub(super) fn numbered(scene: &Scene, number: u32) -> Result<Self, HarnessError> {
        let dir = scene.dir(&format!("bare-{number}"))?;
        let tap = format!("{TAP}{number}");
        let facts =
            HostFacts::find_out().map_err(|error| HarnessError::value("this host", error))?;
        let image = scene.image.dir();
        let base_disk = dir.join("base.img");
        clone(&image.join("root.img"), &base_disk)?;
        let grown = File::options().write(true).open(&base_disk);
        grown
            .and_then(|file| file.set_len(DISK_BYTES))
            .map_err(HarnessError::io(format!("grow {base_disk}")))?;
        let host = Self {
            dir,
            tap,
            kernel: image.join("kernel"),
            initrd: image.join("initrd"),
            base_disk,
            accelerator: if facts.has_hardware_kvm { Accelerator::Kvm } else { Accelerator::Tcg },
            tsc_khz: facts.tsc_khz,
        };
        run("ip", &["tuntap", "add", "dev", &host.tap, "mode", "tap"])?;
        run("ip", &["link", "set", "dev", &host.tap, "up"])?;
        Ok(host)
    }

    /// Boots a machine; how long it took until its agent answered.
    pub(super) async fn boot(&self, memory_mib: u64) -> Result<(Bare, Duration), HarnessError> {
        self.empty()?;
        clone(&self.base_disk, &self.dir.join("disk"))?;
        let start = Start::Kernel { has_initrd: true, arguments: self.kernel_arguments() };
        let began = Instant::now();
        let bare = self.spawn(memory_mib, start, MemoryMapping::Shared)?;
        bare.ready().await?;
        Ok((bare, began.elapsed()))
    }

    /// Boots a machine that runs this program instead of an agent. Nothing is waited for.
    pub(super) fn boot_program(
        &self,
        memory_mib: u64,
        program: &str,
    ) -> Result<Bare, HarnessError> {
        self.empty()?;
        let (disk, path) = (self.dir.join("disk"), self.dir.join("program"));
        clone(&self.base_disk, &disk)?;
        std::fs::write(&path, program).map_err(HarnessError::io(format!("write {path}")))?;
        for command in [format!("write {path} program"), "sif program mode 0100755".to_owned()] {
            run("debugfs", &["-w", "-R", &command, disk.as_str()])?;
        }
        let arguments = format!("{} init=/program", self.kernel_arguments());
        let start = Start::Kernel { has_initrd: true, arguments };
        self.spawn(memory_mib, start, MemoryMapping::Shared)
    }

    fn kernel_arguments(&self) -> String {
        let (tsc_khz, usual) = (self.tsc_khz, default_kernel_arguments());
        format!("console=ttyS0 tsc_early_khz={tsc_khz} tsc=reliable {usual}")
    }

    /// Starts a machine that goes on from a snapshot; how long it took until its agent answered.
    pub(super) async fn restore(
        &self,
        memory_mib: u64,
        from: &BareSnapshot,
    ) -> Result<(Bare, Duration), HarnessError> {
        self.empty()?;
        clone(&from.dir.join("memory.bin"), &self.dir.join("memory"))?;
        clone(&from.dir.join("system.img"), &self.dir.join("disk"))?;
        let began = Instant::now();
        let bare = self.incoming(memory_mib, from, MemoryMapping::Shared).await?;
        bare.ready().await?;
        Ok((bare, began.elapsed()))
    }

    /// A copy of a snapshot's memory that any number of bare machines may map privately.
    pub(super) fn shared_memory(&self, from: &BareSnapshot) -> Result<Utf8PathBuf, HarnessError> {
        let path = self.dir.join("shared-memory");
        clone(&from.dir.join("memory.bin"), &path).map(|()| path)
    }

    /// Starts a machine that goes on from a snapshot and shares its memory with others, until it is resumed.
    pub(super) async fn clone_of(
        &self,
        memory_mib: u64,
        from: &BareSnapshot,
        memory: &Utf8Path,
    ) -> Result<Bare, HarnessError> {
        self.empty()?;
        clone(&from.dir.join("system.img"), &self.dir.join("disk"))?;
        let path = self.dir.join("memory");
        std::os::unix::fs::symlink(memory, &path)
            .map_err(HarnessError::io(format!("link {path}")))?;
        self.incoming(memory_mib, from, MemoryMapping::Private).await
    }

    async fn incoming(
        &self,
        memory_mib: u64,
        from: &BareSnapshot,
        mapping: MemoryMapping,
    ) -> Result<Bare, HarnessError> {
        let path = from.dir.join("vmstate.bin");
        let state = File::open(&path).map_err(HarnessError::io(format!("open {path}")))?;
        let bare = self.spawn(memory_mib, Start::Incoming, mapping)?;
        let mut monitor = bare.monitor().await?;
        monitor.set_migration_capabilities().await.map_err(failed)?;
        monitor.migrate_from(state.as_fd()).await.map_err(failed)?;
        monitor.wait_migration(MONITOR).await.map_err(failed)?;
        monitor.cont().await.map_err(failed)?;
        Ok(bare)
    }

    fn empty(&self) -> Result<(), HarnessError> {
        for name in ["memory", "disk", "qmp.sock", "agent.sock", "vmstate"] {
            let path = self.dir.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(HarnessError::io(format!("remove {path}"))(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn spawn(
        &self,
        memory_mib: u64,
        start: Start,
        mapping: MemoryMapping,
    ) -> Result<Bare, HarnessError> {
        let line = CommandLine {
            accelerator: self.accelerator,
            vcpus: 1,
            memory_mib,
            mapping,
            disks: 1,
            has_tap: true,
            run_mark: "bare".to_owned(),
            start,
        };
        let child = Command::new(QEMU)
            .args(self.outside(line.arguments()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(HarnessError::io("start a bare QEMU"))?;
        Ok(Bare { child, dir: self.dir.clone() })
    }

    /// The command line with the paths and sockets that it has outside a jail.
    fn outside(&self, arguments: Vec<String>) -> Vec<String> {
        let dir = &self.dir;
        let replacements = [
            ("/machine/kernel", self.kernel.to_string()),
            ("/machine/initrd", self.initrd.to_string()),
            ("/machine/memory", dir.join("memory").into_string()),
            ("/proc/self/fd/6", dir.join("memory").into_string()),
            ("/machine/disk-0", dir.join("disk").into_string()),
            ("id=monitor,fd=3", format!("id=monitor,path={dir}/qmp.sock")),
            ("id=agent,fd=4", format!("id=agent,path={dir}/agent.sock")),
            ("tap,id=net,fd=5", format!("tap,id=net,ifname={},script=no,downscript=no", self.tap)),
            // Where Debian's QEMU has its firmware by itself.
            ("/vmm/share", "/usr/share/qemu".to_owned()),
        ];
        let outside = |argument: String| {
            replacements.iter().fold(argument, |text, (from, to)| text.replace(from, to))
        };
        arguments.into_iter().map(outside).collect()
    }
}

impl Drop for BareHost {
    fn drop(&mut self) {
        if let Err(error) = run("ip", &["link", "delete", &self.tap]) {
            eprintln!("bench: {}", error.chain());
        }
    }
}

impl Bare {
    /// Its agent, which has one caller at a time.
    pub(super) fn agent(&self) -> Client {
        let socket = self.channel().into_std_path_buf();
        Client::new(Target::VirtioSerial { socket })
    }

    /// The host's end of its port.
    pub(super) fn channel(&self) -> Utf8PathBuf {
        self.dir.join("agent.sock")
    }

    /// Waits until its agent answers.
    pub(super) async fn ready(&self) -> Result<(), HarnessError> {
        let agent = self.agent();
        agent.wait_ready(READY).await.map_err(failed)?;
        agent.disconnect().await;
        Ok(())
    }

    async fn monitor(&self) -> Result<Monitor, HarnessError> {
        let socket = self.dir.join("qmp.sock");
        until("a bare QEMU's monitor", MONITOR, async || {
            Monitor::connect(&socket, MONITOR).await.ok()
        })
        .await
    }

    /// Stops it, saves its device state, clones its files and lets it go on; how long it stood still. What is dirty is
    /// written back before, as a daemon does.
    pub(super) async fn pause(&self) -> Result<Duration, HarnessError> {
        let path = self.dir.join("vmstate");
        let state = File::create(&path).map_err(HarnessError::io(format!("make {path}")))?;
        let mut monitor = self.monitor().await?;
        monitor.set_migration_capabilities().await.map_err(failed)?;
        monitor.set_migration_bandwidth(1 << 40).await.map_err(failed)?;
        let files = [self.kept("memory")?, self.kept("disk")?];
        let began = Instant::now();
        monitor.stop().await.map_err(failed)?;
        monitor.migrate_to(state.as_fd()).await.map_err(failed)?;
        monitor.wait_migration(MONITOR).await.map_err(failed)?;
        for (file, clone) in &files {
            let cloned = rustix::fs::ioctl_ficlone(clone, file);
            cloned
                .map_err(|error| HarnessError::io("clone a bare machine's file")(error.into()))?;
        }
        // QEMU refuses to go on until it has put the migration away.
        while monitor.query_status().await.map_err(failed)? == VmStatus::FinishMigrate {
            monitor.migrate_cancel().await.map_err(failed)?;
        }
        monitor.cont().await.map_err(failed)?;
        Ok(began.elapsed())
    }

    /// A file with nothing dirty, and an empty one for its clone.
    fn kept(&self, name: &str) -> Result<(File, File), HarnessError> {
        let path = self.dir.join(name);
        let open = || {
            let file = File::open(&path)?;
            file.sync_data()?;
            Ok((file, File::create(self.dir.join(format!("{name}.clone")))?))
        };
        open().map_err(HarnessError::io(format!("keep {path}")))
    }

    /// Ends it.
    pub(super) async fn end(mut self) -> Result<(), HarnessError> {
        self.child.kill().await.map_err(HarnessError::io("end a bare QEMU"))
    }
}

impl BareSnapshot {
    /// The files of a snapshot that a daemon has.
    pub(super) fn of(root: &Utf8Path, snapshot: &str) -> Self {
        Self { dir: root.join("snapshots").join(snapshot) }
    }
}

fn failed(error: impl std::error::Error) -> HarnessError {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    HarnessError::value(format!("a bare QEMU: {error}"), causes.join(": "))
}
