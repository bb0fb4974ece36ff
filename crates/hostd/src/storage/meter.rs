//! The meter: measures when it is asked, and gives its answer again while it is fresh.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use engine::layout::Layout;
use engine::port::PortError;
use jiff::Timestamp;

use super::charge::Charged;
use super::extents::{Ask, Extents};
use super::walk::{self, Owner};

/// How long an answer is given again.
pub(super) const FRESH: Duration = Duration::from_secs(1);
/// How long one pass may ask the kernel for extents; files that are left are asked for by the next.
pub(super) const BUDGET: Duration = Duration::from_millis(50);
/// A block of `st_blocks`, whatever the file system's own are.
const BLOCK_BYTES: u64 = 512;

/// What was measured: bytes by owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    bytes: HashMap<Owner, u64>,
}

impl Usage {
    /// The bytes of one owner.
    pub fn of(&self, owner: &Owner) -> u64 {
        self.bytes.get(owner).copied().unwrap_or_default()
    }

    /// The bytes of all owners that `is_meant`.
    pub fn sum(&self, is_meant: impl Fn(&Owner) -> bool) -> u64 {
        let meant = self.bytes.iter().filter(|(owner, _)| is_meant(owner));
        meant.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// An answer and when it was found.
type Answer = (Instant, Timestamp, Arc<Usage>);

/// Measures one root.
#[derive(Debug, Default)]
pub struct Meter {
    extents: Arc<Mutex<Extents>>,
    /// Held while somebody measures: whoever asks meanwhile is given the same answer.
    last: tokio::sync::Mutex<Option<Answer>>,
}

impl Meter {
    /// What takes how much room, and when that was so: `now`, or a second before at most.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub async fn measure(
        &self,
        layout: &Layout,
        now: Timestamp,
    ) -> Result<(Timestamp, Arc<Usage>), PortError> {
        let mut last = self.last.lock().await;
        if let Some((at, then, usage)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok((*then, Arc::clone(usage)));
        }
        let (layout, extents) = (layout.clone(), Arc::clone(&self.extents));
        let measuring = tokio::task::spawn_blocking(move || {
            let mut extents = extents.lock().unwrap_or_else(PoisonError::into_inner);
            pass(&layout, &mut extents)
        });
        let action = "measure the root directory";
        let usage = measuring.await.map_err(|error| PortError::internal(action, error))?;
        let usage = Arc::new(usage.map_err(|error| PortError::io(action, error))?);
        *last = Some((Instant::now(), now, Arc::clone(&usage)));
        Ok((now, usage))
    }
}

/// One pass over all files.
fn pass(layout: &Layout, extents: &mut Extents) -> io::Result<Usage> {
    let began = Instant::now();
    let mut pass = Pass {
        extents,
        asking: Duration::ZERO,
        seen: HashSet::new(),
        charged: HashMap::new(),
        usage: Usage::default(),
        failure: None,
    };
    pass.extents.begin();
    walk::walk(layout, &mut |owner, path, metadata| pass.file(owner, path, metadata))?;
    pass.extents.end();
    tracing::debug!(files = pass.seen.len(), asking = ?pass.asking, took = ?began.elapsed(), "measured");
    match pass.failure {
        Some(error) => Err(error),
        None => Ok(pass.usage),
    }
}

struct Pass<'a> {
    extents: &'a mut Extents,
    /// How long the kernel was asked.
    asking: Duration,
    /// Files by identity: one with several names is charged once.
    seen: HashSet<(u64, u64)>,
    /// By device.
    charged: HashMap<u64, Charged>,
    usage: Usage,
    failure: Option<io::Error>,
}

impl Pass<'_> {
    fn file(&mut self, owner: &Owner, path: &Utf8Path, metadata: &Metadata) {
        if !self.seen.insert(walk::identity(metadata)) {
            return;
        }
        let allocated = metadata.blocks().saturating_mul(BLOCK_BYTES);
        let bytes = match metadata.is_file() && allocated > 0 {
            true => self.own_bytes(owner, path, metadata, allocated),
            false => Ok(allocated),
        };
        match bytes {
            Ok(bytes) => {
                let sum = self.usage.bytes.entry(owner.clone()).or_default();
                *sum = sum.saturating_add(bytes);
            }
            Err(error) => self.failure = Some(error),
        }
    }

    /// What of a file nobody before it was charged for.
    fn own_bytes(
        &mut self,
        owner: &Owner,
        path: &Utf8Path,
        metadata: &Metadata,
        allocated: u64,
    ) -> io::Result<u64> {
        let ask = if owner.is_source() { Ask::All } else { Ask::Shared };
        let began = Instant::now();
        let extents = self.extents.of(path, metadata, ask, self.asking < BUDGET)?;
        self.asking += began.elapsed();
        let charged = self.charged.entry(metadata.dev()).or_default();
        let (mut together, mut new) = (0_u64, 0_u64);
        for extent in extents.iter() {
            together = together.saturating_add(extent.length);
            new = new.saturating_add(charged.charge(extent));
        }
        // What the extents do not tell of is the file's own: metadata, and blocks that nobody shares.
        Ok(allocated.saturating_sub(together).saturating_add(new.min(allocated)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use camino::Utf8PathBuf;

    use super::*;

    fn root() -> (tempfile::TempDir, Layout) {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        (directory, Layout::new(root))
    }

    fn write(path: &Utf8Path, bytes: usize) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![1; bytes]).unwrap();
    }

    #[test]
    fn holes_take_no_room_links_are_not_followed_and_names_of_one_file_count_once() {
        let (_directory, layout) = root();
        let kernel = layout.artifacts().join("kernel");
        write(&kernel, 1 << 20);
        let machine = layout.machines().join("box");
        fs::create_dir_all(&machine).unwrap();
        fs::File::create(machine.join("system.img")).unwrap().set_len(1 << 40).unwrap();
        fs::hard_link(&kernel, machine.join("kernel")).unwrap();
        std::os::unix::fs::symlink("/usr", machine.join("link")).unwrap();
        write(&machine.join("user-1.img"), 2 << 20);
        let usage = pass(&layout, &mut Extents::default()).unwrap();
        let name = || "box".to_owned();
        assert!(usage.of(&Owner::Artifacts) >= 1 << 20);
        assert!(usage.of(&Owner::System(name())) < 1 << 16);
        assert!(usage.of(&Owner::User(name())) >= 2 << 20);
        assert!(usage.of(&Owner::Runtime(name())) < 1 << 16, "the kernel is the cache's");
    }

    #[test]
    fn clones_share_their_blocks_where_the_file_system_has_them() {
        let (_directory, layout) = root();
        let (sealed, disk) = (
            layout.snapshots().join("saved/system.img"),
            layout.machines().join("clone/system.img"),
        );
        write(&sealed, 4 << 20);
        fs::File::open(&sealed).unwrap().sync_all().unwrap();
        fs::create_dir_all(disk.parent().unwrap()).unwrap();
        let mut extents = Extents::default();
        pass(&layout, &mut extents).unwrap();
        let cloned =
            chunks::files::clone_file(&sealed, &disk, chunks::files::CloneMode::Reflink, 0o600);
        if let Err(error) = cloned {
            println!("skipped: {error}");
            return;
        }
        let usage = pass(&layout, &mut extents).unwrap();
        assert!(usage.of(&Owner::Snapshot(Some("saved".to_owned()))) >= 4 << 20);
        assert!(usage.of(&Owner::System("clone".to_owned())) < 1 << 20, "{usage:?}");
    }

    #[test]
    fn promise_p14_a_thousand_machines_are_measured_well_within_the_second_in_which_it_is_asked_again()
     {
        let (_directory, layout) = root();
        for machine in 0..1000 {
            let dir = layout.machines().join(format!("m{machine}"));
            for name in ["system.img", "memory", "kernel", "logs/console.ring", "jail/spec"] {
                write(&dir.join(name), 4096);
            }
        }
        let mut extents = Extents::default();
        for _ in 0..3 {
            let began = Instant::now();
            pass(&layout, &mut extents).unwrap();
            println!("a pass over 1,000 machines took {:?}", began.elapsed());
        }
        let began = Instant::now();
        pass(&layout, &mut extents).unwrap();
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn an_answer_is_given_again_while_it_is_fresh() {
        let (_directory, layout) = root();
        let meter = Meter::default();
        let (first, then) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let (at, usage) = meter.measure(&layout, first).await.unwrap();
        let again = meter.measure(&layout, then).await.unwrap();
        assert_eq!((at, (at, usage)), (first, again));
    }
}
