//! The suites that the real adapters pass, run by the fakes: what a fault sweep finds out about them holds for the real ones too.
//! Files, chunks and guests run theirs here with the real ones as well; VMMs, the network and the journal do where they live.

mod fake_guest;
mod fake_host;
mod real_guest;
mod real_host;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::OperationId;
use engine::port::{Boot, Disk, GuestMemory, Launch, LaunchSpec};
use engine::record::{AddressBlock, Shape, Slot, Tuning, VmmKind};
use harness::fake::disk::Inode;
use harness::fake::network::FakeNetwork;
use harness::fake::vmm::FakeVmm;
use harness::fake::world::FakeSlot;
use harness::fake::{Content, Faults, Life, World};

const BLOCK: AddressBlock =
    AddressBlock { first: std::net::Ipv4Addr::new(10, 213, 0, 0), prefix_length: 16 };

fn life() -> Life {
    Life::begin(&Arc::new(World::new(Utf8Path::new("/root"))), Arc::new(Faults::default()))
}

fn slot(index: u32) -> Slot {
    Slot::new("0123abcd", BLOCK, 200_000, index)
}

/// Machines of the fake host.
struct FakeMachines {
    life: Life,
    made: AtomicU32,
    /// How far the guest of a run had come when its run began.
    began_at: Mutex<BTreeMap<OperationId, u64>>,
}

impl FakeMachines {
    fn new(life: Life) -> Self {
        Self { life, made: AtomicU32::new(0), began_at: Mutex::default() }
    }

    /// A machine with its slot and directory, and no files.
    fn make(&self) -> LaunchSpec {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let machine = format!("box-{number}").parse().expect("a machine's id");
        let dir = Utf8PathBuf::from(format!("/root/machines/box-{number}"));
        let slot = slot(number);
        let mut state = self.life.world().lock();
        state.disk.make_dir(&dir, None);
        state.slots.insert(number, FakeSlot { is_whole: true, open: None });
        LaunchSpec {
            launch: Launch {
                machine,
                operation: OperationId::from_parts(u64::from(number) + 1, [0; 10]),
                vmm: VmmKind::Qemu,
                dir: dir.clone(),
            },
            shape: Shape { vcpus: 1, memory_mib: 128 },
            kernel: dir.join("kernel"),
            initrd: None,
            memory: GuestMemory::Own { path: dir.join("memory") },
            disks: vec![Disk { path: dir.join("system.img") }],
            slot,
            boot: Boot::Cold,
            tuning: Tuning::default(),
        }
    }

    fn write(&self, path: &Utf8Path, content: Content, owner: u32) {
        let inode = Inode {
            content,
            size_bytes: 1 << 20,
            owner,
            is_read_only: false,
            was_held_by_vmm: false,
        };
        self.life.world().lock().disk.write(path, inode).expect("a file in a directory");
    }

    fn work(&self, launch: &Launch) -> u64 {
        let mut state = self.life.world().lock();
        state.process(&launch.operation).map_or(0, |process| process.guest.work)
    }
}

#[async_trait]
impl vmm::conformance::Fixture for FakeMachines {
    async fn cold(&self) -> LaunchSpec {
        let spec = self.make();
        self.write(&spec.kernel, Content::Text("kernel".into()), 0);
        self.write(&spec.disks[0].path, Content::Text("image".into()), spec.slot.uid);
        spec
    }

    async fn restored(&self, source: &LaunchSpec, vmstate: &Utf8Path) -> LaunchSpec {
        let spec = self.make();
        self.write(&spec.kernel, Content::Text("kernel".into()), 0);
        let content = |path: &Utf8Path| {
            let state = self.life.world().lock();
            state.disk.file(path).expect("a file of the source").1.content.clone()
        };
        let (GuestMemory::Own { path: from }, GuestMemory::Own { path: to }) =
            (&source.memory, &spec.memory)
        else {
            panic!("both have memory of their own")
        };
        self.write(to, content(from), spec.slot.uid);
        self.write(&spec.disks[0].path, content(&source.disks[0].path), spec.slot.uid);
        let work = self.work(&source.launch);
        self.began_at.lock().expect("no panic before").insert(spec.launch.operation.clone(), work);
        let boot = Boot::Restore {
            vmstate: vmstate.to_owned(),
            tsc_khz: 2_000_000,
            vmm_sha256: contract::Sha256Hex::from_bytes(&[7; 32]),
        };
        LaunchSpec { boot, ..spec }
    }

    async fn counted(&self, launch: &Launch) -> u64 {
        self.life.world().advance(Duration::from_millis(1));
        let began_at =
            self.began_at.lock().expect("no panic before").get(&launch.operation).copied();
        self.work(launch) - began_at.unwrap_or(0)
    }

    fn new_file(&self) -> Utf8PathBuf {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("/root/scratch/file-{number}").into()
    }
}

#[tokio::test]
async fn the_fake_vmm_passes_the_suite_of_the_real_ones() {
    let life = life();
    let machines = FakeMachines::new(life.clone());
    vmm::conformance::all(&FakeVmm::new(life.clone(), VmmKind::Qemu), &machines).await;
    assert_eq!(life.world().lock().defects, std::collections::BTreeSet::new());
}

#[tokio::test]
async fn the_fake_network_passes_the_suite_of_the_real_one() {
    hostd::network::conformance::run(&FakeNetwork::new(life()), slot).await;
}
