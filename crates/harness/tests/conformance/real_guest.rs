//! Real agents, each a process of this machine with a root of its own, as the suite of guests sees them.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::OperationId;
use engine::port::{Launch, Reach};
use engine::record::VmmKind;
use engine::testing::guest::GuestHost;
use hostd::adapters::HostGuest;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{UnixListener, UnixStream};

/// How long an agent may take to end.
const LAST: Duration = Duration::from_secs(60);

/// Agents, and channels without one.
struct RealGuests {
    place: tempfile::TempDir,
    agent: Utf8PathBuf,
    guests: Mutex<Vec<Guest>>,
    /// Channels that nobody speaks on.
    silent: Mutex<Vec<UnixListener>>,
}

struct Guest {
    launch: OperationId,
    process: Child,
}

impl RealGuests {
    fn new(agent: Utf8PathBuf) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        Self { place, agent, guests: Mutex::default(), silent: Mutex::default() }
    }

    /// A run with its directory.
    fn make(&self) -> Reach {
        let number = fs::read_dir(self.place.path()).expect("lists a directory").count();
        let dir = Utf8Path::from_path(self.place.path()).expect("a path in UTF-8");
        let dir = dir.join(format!("guest-{number}"));
        let channel = dir.join(vmm::qemu::AGENT_SOCKET);
        fs::create_dir_all(channel.parent().expect("a path of a file")).expect("a directory");
        Reach {
            launch: Launch {
                machine: format!("guest-{number}").parse().expect("a machine's id"),
                operation: OperationId::from_parts(number as u64, [1; 10]),
                vmm: VmmKind::Qemu,
                dir,
            },
        }
    }

    /// What `look` sees of the process of a guest.
    fn with<T>(&self, reach: &Reach, look: impl FnOnce(&mut Child) -> T) -> T {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let guest = guests.iter_mut().find(|guest| guest.launch == reach.launch.operation);
        look(&mut guest.expect("a guest of this test").process)
    }
}

fn make_root(root: &Utf8Path) {
    for directory in ["etc/computer/clone.d", "etc/ssh", "home/node", "mnt", "run", "workspace"] {
        fs::create_dir_all(root.join(directory)).expect("a directory");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnode:x:12345:12345::/home/node:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd).expect("a file");
}

#[async_trait]
impl GuestHost for RealGuests {
    async fn answering(&self) -> Reach {
        let reach = self.make();
        let dir = &reach.launch.dir;
        let root = dir.join("root");
        make_root(&root);
        let socket = dir.join(vmm::qemu::AGENT_SOCKET);
        let process = Command::new(&self.agent)
            .args(["--no-init", "--listen-unix-framed", socket.as_str()])
            .args(["--root", root.as_str(), "--workspace", "/workspace"])
            // There is nothing to switch off but the agent, which ends by itself.
            .args(["--shutdown-command", "/bin/true"])
            .stdin(Stdio::null())
            .spawn()
            .expect("the agent starts");
        let guest = Guest { launch: reach.launch.operation.clone(), process };
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).push(guest);
        let began = Instant::now();
        while UnixStream::connect(&socket).await.is_err() {
            assert!(began.elapsed() < LAST, "an agent listens at {socket}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        reach
    }

    async fn silent(&self) -> Reach {
        let reach = self.make();
        let socket = reach.launch.dir.join(vmm::qemu::AGENT_SOCKET);
        let channel = UnixListener::bind(socket).expect("a channel");
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
        reach
    }

    async fn machine_id(&self, reach: &Reach) -> Option<String> {
        let text = fs::read_to_string(reach.launch.dir.join("root/etc/machine-id")).ok()?;
        Some(text.trim_end().to_owned())
    }

    async fn is_frozen(&self, reach: &Reach) -> bool {
        let pid = self.with(reach, |process| process.id());
        let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its group");
        let own = table.lines().find_map(|line| line.strip_prefix("0::/")).expect("version 2");
        let mount = vmm::cgroup::unified_mount().expect("mounts").expect("version 2 is mounted");
        let events = mount.join(own).join(format!("computer-agent.{pid}/guest/cgroup.events"));
        let events = fs::read_to_string(events).expect("the events of a group");
        events.lines().any(|line| line == "frozen 1")
    }

    async fn has_ended(&self, reach: &Reach) -> bool {
        let began = Instant::now();
        while began.elapsed() < LAST {
            if self.with(reach, |process| process.try_wait().expect("our child")).is_some() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn has_ssh_server(&self) -> bool {
        Utf8Path::new("/usr/bin/ssh-keygen").exists()
    }

    fn has_rclone(&self) -> bool {
        Utf8Path::new("/usr/bin/rclone").exists()
    }
}

impl Drop for RealGuests {
    fn drop(&mut self) {
        let guests = self.guests.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Guest { process, .. } in guests {
            if process.try_wait().expect("our child").is_none() {
                kill_process(Pid::from_child(process), Signal::TERM).expect("it runs");
                process.wait().expect("our child");
            }
        }
    }
}

/// What this machine lacks for agents as processes, if anything.
fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("identities of guests need root");
    }
    match vmm::cgroup::unified_mount() {
        Ok(Some(_)) => None,
        _ => Some("no cgroup version 2"),
    }
}

#[tokio::test]
async fn the_real_guest_passes_its_suite() {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return;
    }
    let agent = harness::program::program("computer-agent").expect("the agent is built");
    let host = RealGuests::new(agent);
    engine::testing::guest::conforms(&HostGuest::default(), &host).await;
}
