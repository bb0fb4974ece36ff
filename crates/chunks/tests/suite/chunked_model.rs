//! A model: thirty generations of writing, saving, forking, restoring, deleting and collecting in random order, and
//! every byte is as the model says.

use std::collections::{BTreeMap, HashSet};

use camino::Utf8PathBuf;
use chunks::PackId;
use chunks::chunked::{DirectorySource, check_form, check_set, prune_set};
use tokio_util::sync::CancellationToken;

use crate::support::{Form, MIB, Scratch, assemble, cut, noise, scratch};

const CHUNKS: usize = 24;
const CHUNK: usize = 128 * 1024;

/// A machine: its bytes, and the snapshot that it goes on from.
struct Machine {
    bytes: Vec<u8>,
    parent: Option<usize>,
}

/// What there should be.
struct Model {
    scratch: Scratch,
    random: fastrand::Rng,
    machines: Vec<Machine>,
    /// Snapshots that are not deleted, with what they hold.
    snapshots: BTreeMap<usize, (Form, Vec<u8>)>,
    /// Sets on disk, also of deleted snapshots.
    sets: Vec<Utf8PathBuf>,
    made: usize,
}

impl Model {
    fn new(seed: u64) -> Self {
        let bytes = noise((CHUNKS * CHUNK) as u64, seed);
        Self {
            scratch: scratch(),
            random: fastrand::Rng::with_seed(seed),
            machines: vec![Machine { bytes, parent: None }],
            snapshots: BTreeMap::new(),
            sets: Vec::new(),
            made: 0,
        }
    }

    /// A guest writes: pages, whole chunks, zeros, copies of other chunks.
    fn write(&mut self) {
        let random = &mut self.random;
        let machine = random.usize(0..self.machines.len());
        let bytes = &mut self.machines[machine].bytes;
        for _ in 0..random.usize(1..20) {
            let (page, chunk) =
                (random.usize(0..CHUNKS * 32) * 4096, random.usize(0..CHUNKS) * CHUNK);
            match random.u8(0..5) {
                0 => bytes[chunk..chunk + CHUNK].fill(0),
                1 => {
                    let from = random.usize(0..CHUNKS) * CHUNK;
                    bytes.copy_within(from..from + CHUNK, chunk);
                }
                2 => bytes[chunk..chunk + CHUNK]
                    .copy_from_slice(&noise(CHUNK as u64, random.u64(..))),
                _ => bytes[page..page + 4096].copy_from_slice(&noise(4096, random.u64(..))),
            }
        }
    }

    /// A snapshot knows its parent first, then some others.
    fn save(&mut self) {
        let machine = self.random.usize(0..self.machines.len());
        let (bytes, parent) = (self.machines[machine].bytes.clone(), self.machines[machine].parent);
        let file = self.scratch.join("memory.bin");
        std::fs::write(&file, &bytes).expect("the machine's memory");
        let parents = parent.and_then(|parent| self.snapshots.get(&parent));
        let others = self.snapshots.iter().filter(|(id, _)| Some(**id) != parent);
        let known: Vec<&Form> = parents
            .into_iter()
            .chain(others.map(|(_, snapshot)| snapshot))
            .map(|(form, _)| form)
            .collect();
        // Packs of deleted snapshots lie where they were: a document says which, wherever they are.
        let root = self.scratch.path.clone();
        let form = cut(&file, &root, &format!("set-{}", self.made), &known, None);
        self.sets.push(form.dir.clone());
        self.snapshots.insert(self.made, (form, bytes));
        self.machines[machine].parent = Some(self.made);
        self.made += 1;
    }

    fn any_snapshot(&mut self) -> Option<usize> {
        let ids: Vec<usize> = self.snapshots.keys().copied().collect();
        self.random.choice(ids)
    }

    /// A machine goes on from a snapshot, beside its source.
    fn restore(&mut self) {
        let Some(id) = self.any_snapshot() else { return };
        let bytes = self.read(id);
        if self.machines.len() > 4 {
            self.machines.remove(0);
        }
        self.machines.push(Machine { bytes, parent: Some(id) });
    }

    fn delete(&mut self) {
        if self.snapshots.len() > 2
            && let Some(id) = self.any_snapshot()
        {
            self.snapshots.remove(&id);
        }
    }

    /// Takes away what no snapshot that is left needs.
    fn collect(&mut self) {
        let needed: HashSet<PackId> = self
            .snapshots
            .values()
            .flat_map(|(form, _)| form.form.document.packs.iter().map(|pack| pack.id))
            .collect();
        for set in &self.sets {
            prune_set(set, &needed).expect("pruned");
        }
    }

    /// The bytes of a snapshot, which are those that the model has.
    fn read(&self, id: usize) -> Vec<u8> {
        let (form, expected) = &self.snapshots[&id];
        let dirs: Vec<_> = self.sets.iter().map(Utf8PathBuf::as_path).collect();
        let target = self.scratch.join("read");
        let bytes = assemble(&form.form.document, &dirs, &target, None);
        let bytes = bytes.unwrap_or_else(|error| panic!("snapshot {id}: {error}"));
        std::fs::remove_file(&target).expect("removed");
        assert!(bytes == *expected, "snapshot {id} has other bytes");
        bytes
    }

    fn stored_bytes(&self) -> u64 {
        let never = CancellationToken::new();
        let checked = self.sets.iter().map(|set| check_set(set, &never).expect("looked"));
        checked.map(|set| set.bytes).sum()
    }
}

#[test]
fn promise_p5_p9_thirty_generations_of_save_fork_restore_delete_and_collect_are_byte_exact() {
    for seed in [11, 12] {
        let mut model = Model::new(seed);
        for _generation in 0..30 {
            for _ in 0..model.random.usize(1..4) {
                match model.random.u8(0..10) {
                    0..4 => model.write(),
                    4..6 => model.restore(),
                    6..8 => model.delete(),
                    _ => model.collect(),
                }
            }
            model.write();
            model.save();
        }
        model.collect();
        let never = CancellationToken::new();
        let source = DirectorySource::open(model.sets.iter().map(Utf8PathBuf::as_path));
        let source = source.expect("the packs");
        let ids: Vec<usize> = model.snapshots.keys().copied().collect();
        for id in ids {
            model.read(id);
            let document = &model.snapshots[&id].0.form.document;
            let checked = check_form(document, &source, None, &never).expect("looked");
            assert!(checked.problems.is_empty(), "seed {seed}: {:?}", checked.problems);
        }
        // Thirty snapshots of 3 MiB would be 90 MiB raw.
        let stored = model.stored_bytes();
        assert!(stored < 60 * MIB, "seed {seed}: {stored} bytes are left");
        // Without snapshots nothing is needed.
        model.snapshots.clear();
        model.collect();
        assert_eq!(model.stored_bytes(), 0);
    }
}
