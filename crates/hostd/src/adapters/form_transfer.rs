//! Packs and documents on their way to and from object stores.

use std::collections::HashMap;

use camino::Utf8Path;
use chunks::TransferClient;
use chunks::chunked::{DOCUMENT_NAME, DirectorySource, FormDocument, pack_name, verify_pack};
use chunks::transfer::{FinishedPart, KeepPart, MissingParts, Part, ProgressError};
use contract::PresignedUrl;
use engine::port::{Fault, PackPut, PortError, SendJob, Sent};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::blocking;
use super::chunk_words::{secret, transfer_error};
use super::forms::failed;
use super::owned_dir::make_private_dir;

/// Each object is one part of an upload of its own.
const UPLOAD: &str = "packs";

/// What is to be sent, packs first. A pack that is not of the form is refused.
pub(super) struct Missing {
    packs: Vec<MissingParts>,
    document: Option<MissingParts>,
}

pub(super) fn missing(
    document: &FormDocument,
    source: &DirectorySource,
    job: &SendJob,
) -> Result<Missing, PortError> {
    let packs = job.packs.iter().map(|put| {
        let entry = document.packs.iter().find(|entry| entry.id.to_string() == put.pack.as_str());
        let found = entry.and_then(|entry| Some((entry, source.path(&entry.id)?)));
        let (entry, path) = found.ok_or_else(|| {
            let action = format!("send pack {}, which is not of this form", put.pack);
            PortError::plain(Fault::Refused, action)
        })?;
        object(put.pack.as_str(), path, entry.size_bytes, &put.url)
    });
    let packs = packs.collect::<Result<_, PortError>>()?;
    let path = job.set.join(DOCUMENT_NAME);
    let document = job.document.as_ref().map(|url| {
        let size = path.metadata().map_err(|error| PortError::io(format!("stat {path}"), error))?;
        object("manifest", &path, size.len(), url)
    });
    Ok(Missing { packs, document: document.transpose()? })
}

fn object(
    name: &str,
    path: &Utf8Path,
    size_bytes: u64,
    url: &PresignedUrl,
) -> Result<MissingParts, PortError> {
    let artifact =
        name.parse().map_err(|error| PortError::internal("name an object", Box::new(error)))?;
    let part = Part { number: 1, offset_bytes: 0, size_bytes, url: secret(url)? };
    Ok(MissingParts {
        artifact,
        upload_id: UPLOAD.into(),
        path: path.to_owned(),
        parts: vec![part],
    })
}

/// Sends packs, in parallel within the client's bounds, and then the document: where it lies, all packs do.
pub(super) async fn send(client: &TransferClient, missing: Missing) -> Result<Sent, PortError> {
    let size = |objects: &[MissingParts]| -> u64 {
        objects.iter().flat_map(|object| &object.parts).map(|part| part.size_bytes).sum()
    };
    let mut sent = Sent { packs: missing.packs.len() as u64, bytes: size(&missing.packs) };
    let failed = |error| transfer_error("send a chunked form".into(), error);
    client.send_parts(missing.packs, &Forgotten).await.map_err(failed)?;
    let document = Vec::from_iter(missing.document);
    sent.bytes += size(&document);
    client.send_parts(document, &Forgotten).await.map_err(failed)?;
    Ok(sent)
}

/// What has come to lie in the store is what its caller finds there.
struct Forgotten;

impl KeepPart for Forgotten {
    async fn keep(&self, _part: &FinishedPart) -> Result<(), ProgressError> {
        Ok(())
    }
}

/// Fetches every pack of a document into a new directory. Each has its name only when it is what its name says.
pub(super) async fn fetch(
    client: &TransferClient,
    document: &FormDocument,
    packs: &[PackPut],
    to: &Utf8Path,
) -> Result<(), PortError> {
    let urls: HashMap<&str, &PresignedUrl> =
        packs.iter().map(|pack| (pack.pack.as_str(), &pack.url)).collect();
    let wanted = document.packs.iter().map(|entry| {
        let url = urls.get(entry.id.to_string().as_str()).copied().ok_or_else(|| {
            PortError::plain(Fault::Refused, format!("find a URL for pack {}", entry.id))
        })?;
        Ok((entry.clone(), secret(url)?))
    });
    let wanted = wanted.collect::<Result<Vec<_>, PortError>>()?;
    let dir = to.to_owned();
    blocking("make a directory", move || make_private_dir(&dir)).await?;
    let parallel = client.limits().parallel_requests.max(1);
    stream::iter(wanted)
        .map(|(entry, url)| async move {
            let path = to.join(pack_name(&entry.id));
            client
                .fetch_to_file(&url, &path, entry.size_bytes, None)
                .await
                .map_err(|error| transfer_error(format!("fetch pack {}", entry.id), error))?;
            blocking("verify a pack", move || {
                verify_pack(&path, &entry.id)
                    .map(drop)
                    .map_err(|error| failed("verify a pack", error))
            })
            .await
        })
        .buffer_unordered(parallel)
        .try_collect::<()>()
        .await
}
