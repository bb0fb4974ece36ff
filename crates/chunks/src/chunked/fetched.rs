//! A document that came from elsewhere, kept beside the files that are made of it.

use camino::Utf8Path;

use super::document::FormDocument;
use super::error::ChunkedError;
use super::key::TenantKey;
use super::read::FormReader;
use super::source::DirectorySource;
use crate::files::write_file;

const MODE: u32 = 0o400;

/// Keeps the bytes of a verified document under `document`, and the manifest of the raw files that it holds under
/// `manifest`. Answers the document.
pub fn keep_document(
    bytes: &[u8],
    limit_bytes: u64,
    key: Option<&TenantKey>,
    document: &Utf8Path,
    manifest: &Utf8Path,
) -> Result<FormDocument, ChunkedError> {
    let decoded = FormDocument::decode(bytes, limit_bytes)?;
    let source = DirectorySource::default();
    let text = FormReader::new(&decoded, &source, key)?.manifest()?;
    write_file(document, bytes, MODE)?;
    write_file(manifest, &text, MODE)?;
    Ok(decoded)
}
