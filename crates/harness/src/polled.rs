//! The guest that polls: its image, and what it says on its console.

use std::fs;

use camino::Utf8Path;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::error::HarnessError;
use crate::program::run;

/// Where its sources are, from the directory of this crate.
const SOURCES: &str = "../vmm/tests/guests/polled/build.sh";
/// Its disk: the counter needs one sector.
const DISK_BYTES: usize = 1 << 20;

/// Builds it into an image directory; the caller sees to it that nobody else does.
pub(crate) fn build(dir: &Utf8Path) -> Result<(), HarnessError> {
    fs::create_dir_all(dir).map_err(HarnessError::io(format!("make {dir}")))?;
    let script = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCES);
    let beside = dir.join(".built");
    run("sh", &[script.as_str(), beside.as_str()])?;
    let kernel = fs::read(&beside).map_err(HarnessError::io(format!("read {beside}")))?;
    let described = json!({
        "kernel": { "file": "kernel", "sha256": sum(&kernel) },
        "root": { "file": "root.img", "sha256": sum(&[0; DISK_BYTES]) },
    });
    publish(dir, "kernel", &kernel)?;
    publish(dir, "root.img", &[0; DISK_BYTES])?;
    publish(dir, "image.json", described.to_string().as_bytes())?;
    fs::remove_file(&beside).map_err(HarnessError::io(format!("remove {beside}")))
}

/// Written beside and renamed, since other tests may be reading.
fn publish(dir: &Utf8Path, name: &str, content: &[u8]) -> Result<(), HarnessError> {
    let (beside, path) = (dir.join(format!(".new-{name}")), dir.join(name));
    fs::write(&beside, content)
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(HarnessError::io(format!("write {path}")))
}

fn sum(content: &[u8]) -> String {
    contract::Sha256Hex::from_bytes(&Sha256::digest(content).into()).as_str().to_owned()
}

/// The values of all whole `TICK` lines of a console; an error when memory and disk are of different instants.
pub fn ticks(console: &str) -> Result<Vec<u64>, HarnessError> {
    if console.contains("TORN") {
        return Err(HarnessError::value("memory and disk of one instant", console));
    }
    let whole = console.rfind('\n').map_or("", |end| &console[..end]);
    let lines = whole.lines();
    Ok(lines
        .filter_map(|line| line.strip_prefix("TICK n=")?.split_once(" disk=")?.0.parse().ok())
        .collect())
}
