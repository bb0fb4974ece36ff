//! Looking whether what is stored is what was stored, and taking away what nobody needs.

use std::collections::HashSet;

use camino::Utf8Path;
use tokio_util::sync::CancellationToken;

use super::document::FormDocument;
use super::error::ChunkedError;
use super::key::TenantKey;
use super::pack::{PackProblem, verify_pack};
use super::read::FormReader;
use super::source::{DirectorySource, packs_in};
use crate::digest::PackId;
use crate::files::sync_directory;

/// What a look at a set found.
#[derive(Debug, Default)]
pub struct SetCheck {
    /// Packs that were read.
    pub packs: u64,
    /// Their size.
    pub bytes: u64,
    /// What is wrong, each naming its pack.
    pub problems: Vec<ChunkedError>,
}

/// What a look at a form found.
#[derive(Debug, Default)]
pub struct FormCheck {
    /// Chunks that were read.
    pub chunks: u64,
    /// What is wrong, each naming its pack or chunk.
    pub problems: Vec<ChunkedError>,
}

/// Hashes every pack of a set. Needs no key.
pub fn check_set(dir: &Utf8Path, cancel: &CancellationToken) -> Result<SetCheck, ChunkedError> {
    let mut check = SetCheck::default();
    for (pack, path) in packs_in(dir)? {
        if cancel.is_cancelled() {
            return Err(ChunkedError::Cancelled);
        }
        check.packs += 1;
        check.bytes += path.metadata().map_err(ChunkedError::io("stat", &path))?.len();
        match verify_pack(&path, &pack) {
            Ok(_) => {}
            Err(error) if error.is_tampering() => check.problems.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(check)
}

/// Checks that every pack that a form needs is in these sets and as long as the document says; with the key of a
/// sealed form, and of any other, also reads every chunk.
pub fn check_form(
    document: &FormDocument,
    source: &DirectorySource,
    key: Option<&TenantKey>,
    cancel: &CancellationToken,
) -> Result<FormCheck, ChunkedError> {
    let mut check = FormCheck::default();
    for entry in &document.packs {
        let problem = match source.path(&entry.id) {
            None => Some(PackProblem::Missing),
            Some(path) => {
                let found_bytes = path.metadata().map_err(ChunkedError::io("stat", path))?.len();
                (found_bytes != entry.size_bytes)
                    .then_some(PackProblem::Size { expected_bytes: entry.size_bytes, found_bytes })
            }
        };
        check
            .problems
            .extend(problem.map(|problem| ChunkedError::Pack { pack: entry.id, problem }));
    }
    if !check.problems.is_empty() || (key.is_none() && !document.keys.is_empty()) {
        return Ok(check);
    }
    let reader = FormReader::new(document, source, key)?;
    for (index, _) in (0..).zip(&document.chunks.0) {
        if cancel.is_cancelled() {
            return Err(ChunkedError::Cancelled);
        }
        check.chunks += 1;
        match reader.chunk(index) {
            Ok(_) => {}
            Err(error) if error.is_tampering() => check.problems.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(check)
}

/// Removes the packs of a set that none of `needed` is, and answers the bytes that this freed.
pub fn prune_set(dir: &Utf8Path, needed: &HashSet<PackId>) -> Result<u64, ChunkedError> {
    let mut freed_bytes = 0;
    for (pack, path) in packs_in(dir)? {
        if !needed.contains(&pack) {
            freed_bytes += path.metadata().map_err(ChunkedError::io("stat", &path))?.len();
            std::fs::remove_file(&path).map_err(ChunkedError::io("remove", &path))?;
        }
    }
    if freed_bytes > 0 {
        sync_directory(dir)?;
    }
    Ok(freed_bytes)
}
