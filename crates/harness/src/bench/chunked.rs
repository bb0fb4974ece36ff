//! Cutting into chunks beside `zstd -3` and `b3sum` on the same bytes and cores, and what a second upload sends.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use chunks::ChunkedLimits;
use chunks::chunked::{
    DirectorySource, FileToCut, FormRequest, Known, KnownSet, WrittenForm, write_form,
};
use tokio_util::sync::CancellationToken;

use super::figure::Figure;
use super::sample::Sample;
use super::scene::Scene;
use crate::error::HarnessError;

const RUNS: usize = 5;
const SIZE_BYTES: usize = 256 << 20;
const PAGE_BYTES: usize = 4096;
const EXTENT_BYTES: usize = 256 << 10;
const LEVEL: i32 = 3;

/// In what a machine changed meanwhile: 5 % of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Extents of 256 KiB, anywhere on a page.
    Extents,
    /// Single pages.
    Pages,
}

/// MiB/s of cutting, compressing, hashing and packing; bare, of the two tools one after the other.
pub(super) fn ratio(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let dir = scene.dir(name)?;
    let (file, bytes) = image(&dir)?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let began = Instant::now();
        cut(&file, &dir.join(format!("set-{run}")), &[])?;
        ours.add(mib_per_second(began.elapsed()));
        let began = Instant::now();
        bare_tools(&bytes, &dir.join(format!("bare-{run}")))?;
        bare.add(mib_per_second(began.elapsed()));
    }
    Ok(Figure { name, value: ours.median(), unit: "MiB/s", bare: Some(bare.median()) })
}

/// Bytes that a second upload sends, packs and document, over the bytes that changed.
pub(super) fn second_upload(
    name: &'static str,
    scene: &Scene,
    change: Change,
) -> Result<Figure, HarnessError> {
    let dir = scene.dir(name)?;
    let (file, _) = image(&dir)?;
    let first = dir.join("first");
    let form = cut(&file, &first, &[])?;
    let changed = write(&file, change)?;
    let known = KnownSet { name: "first".into(), document: form.document };
    let second = cut(&file, &dir.join("second"), &[(known, first)])?;
    let sent = second.totals.new_bytes + second.written.size_bytes;
    Ok(Figure { name, value: sent as f64 / changed as f64, unit: "times", bare: None })
}

/// A guest's memory, more or less: half noise, half text, all of it different.
fn image(dir: &Utf8Path) -> Result<(Utf8PathBuf, Vec<u8>), HarnessError> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = vec![0; SIZE_BYTES];
    for (number, page) in bytes.chunks_mut(PAGE_BYTES).enumerate() {
        if (number / 64).is_multiple_of(2) {
            random.fill(page);
        } else {
            for word in page.chunks_mut(8) {
                let text = format!("{:08}", random.u32(0..5000));
                word.copy_from_slice(text.as_bytes());
            }
        }
    }
    let path = dir.join("memory.bin");
    std::fs::write(&path, &bytes).map_err(HarnessError::io(format!("write {path}")))?;
    Ok((path, bytes))
}

/// Changes 5 % of the file; how many bytes that are.
fn write(path: &Utf8Path, change: Change) -> Result<u64, HarnessError> {
    let failed = || HarnessError::io(format!("write {path}"));
    let file = File::options().write(true).open(path).map_err(failed())?;
    let piece = match change {
        Change::Extents => EXTENT_BYTES,
        Change::Pages => PAGE_BYTES,
    };
    let mut random = fastrand::Rng::with_seed(8);
    let mut noise = vec![0; piece];
    // One piece somewhere in each twentieth part of so many pieces: none meets another.
    let stride = piece * 20;
    for begin in (0..SIZE_BYTES - stride + 1).step_by(stride) {
        random.fill(&mut noise);
        let page = random.usize(0..(stride - piece) / PAGE_BYTES);
        file.write_all_at(&noise, (begin + page * PAGE_BYTES) as u64).map_err(failed())?;
    }
    Ok((SIZE_BYTES / stride * piece) as u64)
}

fn cut(
    file: &Utf8Path,
    dir: &Utf8Path,
    known: &[(KnownSet, Utf8PathBuf)],
) -> Result<WrittenForm, HarnessError> {
    let failed = |error: chunks::chunked::ChunkedError| HarnessError::value("a cut", error);
    std::fs::create_dir(dir).map_err(HarnessError::io(format!("make {dir}")))?;
    let source =
        DirectorySource::open(known.iter().map(|(_, dir)| dir.as_path())).map_err(failed)?;
    let sets: Vec<KnownSet> = known.iter().map(|(set, _)| set.clone()).collect();
    let known = Known::new(&sets, &source, None).map_err(failed)?;
    let id = "memory".parse().map_err(|error| HarnessError::value("an artifact", error))?;
    let files = [FileToCut { id, path: file.to_owned() }];
    let request = FormRequest { dir, files: &files, manifest: "{}", known: &known, key: None };
    write_form(&request, &ChunkedLimits::default(), &CancellationToken::new()).map_err(failed)
}

/// `zstd -3` into a file, synced, and then `b3sum`, each on as many threads as ours.
fn bare_tools(bytes: &[u8], to: &Utf8Path) -> Result<(), HarnessError> {
    let failed = || HarnessError::io(format!("write {to}"));
    let threads = ChunkedLimits::default().threads;
    let share = bytes.len().div_ceil(threads);
    let compressed = std::thread::scope(|scope| {
        let pieces: Vec<_> = bytes
            .chunks(share)
            .map(|piece| scope.spawn(move || zstd::bulk::compress(piece, LEVEL)))
            .collect();
        pieces
            .into_iter()
            .map(|piece| match piece.join() {
                Ok(compressed) => compressed,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect::<Result<Vec<_>, _>>()
    });
    let compressed = compressed.map_err(failed())?.concat();
    std::fs::write(to, &compressed).map_err(failed())?;
    File::open(to).and_then(|file| file.sync_all()).map_err(failed())?;
    std::thread::scope(|scope| {
        for piece in bytes.chunks(share) {
            scope.spawn(|| std::hint::black_box(blake3::hash(piece)));
        }
    });
    Ok(())
}

fn mib_per_second(time: Duration) -> f64 {
    SIZE_BYTES as f64 / f64::from(1 << 20) / time.as_secs_f64()
}
