//! The port `Forms`: chunked forms, over the crate `chunks`.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use chunks::chunked::{
    ChunkedError, DOCUMENT_NAME, DirectorySource, FileToCut, FormDocument, FormReader, FormRequest,
    Known, KnownSet, TenantKey, check_form, check_set, keep_document, write_form,
};
use contract::{OperationId, PackId, Secret};
use engine::layout::snapshot_file;
use engine::port::{
    ChunkCheck, CutJob, Fault, FormPack, FormTarget, FormUrl, Forms, KnownForm, PackPut, PortError,
    SendJob, Sent,
};
use engine::record::{ChunkedForm, Manifest};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::blocking;
use super::chunk_words::{artifact_name, hex_of, summary};
use super::chunks::HostChunks;
use super::files::{give, grow};
use super::form_transfer;

/// Files of a machine are its own until they are given to its uid.
const FILE_MODE: u32 = 0o600;

/// The key that a caller gave, if it gave one.
///
/// # Errors
/// Refused when it is not 32 bytes in base64. The text is not repeated.
pub(crate) fn tenant_key(key: &Secret) -> Result<Option<TenantKey>, PortError> {
    if key.is_empty() {
        return Ok(None);
    }
    let refused =
        || PortError::plain(Fault::Refused, "use the key, which is not 32 bytes in base64");
    let bytes = STANDARD.decode(key.reveal()).map_err(|_| refused())?;
    TenantKey::new(&bytes).map(Some).map_err(|_| refused())
}

#[async_trait]
impl Forms for HostChunks {
    async fn cut(&self, job: &CutJob, _operation: &OperationId) -> Result<ChunkedForm, PortError> {
        let (job, this) = (job.clone(), self.clone());
        blocking("cut a snapshot", move || this.cut_now(&job)).await
    }

    async fn form_packs(&self, set: &Utf8Path) -> Result<Vec<FormPack>, PortError> {
        let (set, this) = (set.to_owned(), self.clone());
        blocking("read a chunked form", move || {
            let document = this.document(&set)?;
            document.packs.iter().map(|pack| form_pack(&pack.id, pack.size_bytes)).collect()
        })
        .await
    }

    async fn send_form(&self, job: &SendJob) -> Result<Sent, PortError> {
        let (this, wanted) = (self.clone(), job.clone());
        let parts = blocking("find packs", move || {
            let document = this.document(&wanted.set)?;
            let source = open(&wanted.set, &wanted.needs)?;
            form_transfer::missing(&document, &source, &wanted)
        })
        .await?;
        form_transfer::send(self.client(), parts).await
    }

    async fn fetch_form(&self, form: &FormUrl) -> Result<Manifest, PortError> {
        let bytes = self.fetch_form_bytes(form).await?;
        let (form, this) = (form.clone(), self.clone());
        blocking("understand a chunked form", move || {
            let document = FormDocument::decode(&bytes, this.form_limits().document_bytes)
                .map_err(|error| failed("understand a chunked form", error.into()))?;
            let (key, source) = (tenant_key(&form.key)?, DirectorySource::default());
            let text = FormReader::new(&document, &source, key.as_ref())
                .and_then(|reader| reader.manifest())
                .map_err(|error| failed("open a chunked form", error))?;
            summary(&this.decode(&text)?)
        })
        .await
    }

    async fn keep_form(&self, form: &FormUrl, dir: &Utf8Path) -> Result<(), PortError> {
        let bytes = self.fetch_form_bytes(form).await?;
        let (form, dir, this) = (form.clone(), dir.to_owned(), self.clone());
        blocking("keep a chunked form", move || {
            let key = tenant_key(&form.key)?;
            let names = (dir.join(DOCUMENT_NAME), dir.join(snapshot_file::MANIFEST));
            let limit = this.form_limits().document_bytes;
            keep_document(&bytes, limit, key.as_ref(), &names.0, &names.1)
                .map(drop)
                .map_err(|error| failed("keep a chunked form", error))
        })
        .await
    }

    async fn fetch_packs(
        &self,
        document: &Utf8Path,
        packs: &[PackPut],
        to: &Utf8Path,
    ) -> Result<(), PortError> {
        let (dir, this) = (document.to_owned(), self.clone());
        let document = blocking("read a chunked form", move || this.document(&dir)).await?;
        form_transfer::fetch(self.client(), &document, packs, to).await
    }

    async fn assemble(&self, target: &FormTarget) -> Result<(), PortError> {
        let (target, this) = (target.clone(), self.clone());
        blocking("put a file together", move || this.assemble_now(&target)).await
    }

    async fn check_form(
        &self,
        set: &Utf8Path,
        needs: &[Utf8PathBuf],
    ) -> Result<ChunkCheck, PortError> {
        let (set, needs, this) = (set.to_owned(), needs.to_vec(), self.clone());
        blocking("check a chunked form", move || this.check_form_now(&set, &needs)).await
    }

    async fn sets_in(&self, sets: &Utf8Path) -> Result<Vec<OperationId>, PortError> {
        let sets = sets.to_owned();
        blocking("list sets", move || {
            let failed = |error| PortError::io(format!("list {sets}"), error);
            let mut found = Vec::new();
            for entry in sets.read_dir_utf8().map_err(failed)? {
                found.extend(entry.map_err(failed)?.file_name().parse());
            }
            Ok(found)
        })
        .await
    }
}

impl HostChunks {
    async fn fetch_form_bytes(&self, form: &FormUrl) -> Result<Vec<u8>, PortError> {
        let limit_bytes = self.form_limits().document_bytes;
        self.fetch_document(&form.url, &form.sha256, limit_bytes, "fetch the chunked manifest")
            .await
    }

    fn cut_now(&self, job: &CutJob) -> Result<ChunkedForm, PortError> {
        let failed = |error| failed("cut a snapshot", error);
        let key = tenant_key(&job.key)?;
        self.sealed_manifest(&job.dir)?;
        let path = job.dir.join(snapshot_file::MANIFEST);
        let manifest = std::fs::read_to_string(&path)
            .map_err(|error| PortError::io(format!("read {path}"), error))?;
        let set_of = |set: &OperationId| job.sets.join(set.as_str());
        let known: Vec<KnownSet> =
            job.known.iter().filter_map(|form| self.known(form, &set_of(&form.set))).collect();
        let mut dirs: Vec<Utf8PathBuf> = job
            .known
            .iter()
            .flat_map(|form| form.needs.iter().chain([&form.set]))
            .map(set_of)
            .filter(|dir| dir.is_dir())
            .collect();
        dirs.sort();
        dirs.dedup();
        let source =
            DirectorySource::open(dirs.iter().map(Utf8PathBuf::as_path)).map_err(failed)?;
        let known = Known::new(&known, &source, key.as_ref()).map_err(failed)?;
        let files = job.artifacts.iter().map(|artifact| {
            let path = job.dir.join(artifact.file_name());
            Ok(FileToCut { id: artifact_name(*artifact)?, path })
        });
        let request = FormRequest {
            dir: &job.into,
            files: &files.collect::<Result<Vec<_>, PortError>>()?,
            manifest: &manifest,
            known: &known,
            key: key.as_ref(),
        };
        let never = CancellationToken::new();
        let form = write_form(&request, self.form_limits(), &never).map_err(failed)?;
        Ok(ChunkedForm {
            // The set is named by the operation, as its directory in scratch is.
            set: named(&job.into)?,
            needs: needs(&form.document, &source)?,
            document_sha256: hex_of(form.written.sha256),
            document_bytes: form.written.size_bytes,
            new_bytes: form.totals.new_bytes,
            key_name: form.document.key_name,
        })
    }

    /// A form that cannot be read is not known: its chunks are written again.
    fn known(&self, form: &KnownForm, dir: &Utf8Path) -> Option<KnownSet> {
        match self.document(dir) {
            Ok(document) => Some(KnownSet { name: form.snapshot.to_string(), document }),
            Err(error) => {
                warn!(snapshot = %form.snapshot, error = error.chain(), "a chunked form is left out");
                None
            }
        }
    }

    fn assemble_now(&self, target: &FormTarget) -> Result<(), PortError> {
        let action = format!("put {} together", target.artifact);
        let failed = |error| failed(&action, error);
        let document = self.document(&target.document)?;
        let key = tenant_key(&target.key)?;
        let source = DirectorySource::open([target.packs.as_path()]).map_err(failed)?;
        let reader = FormReader::new(&document, &source, key.as_ref()).map_err(failed)?;
        let (id, threads) = (artifact_name(target.artifact)?, self.form_limits().threads);
        reader
            .write_file(&id, &target.to, FILE_MODE, threads, &CancellationToken::new())
            .map_err(failed)?;
        grow(&target.to, target.size_bytes)?;
        target.owner.map_or(Ok(()), |owner| give(&target.to, owner))
    }

    fn check_form_now(
        &self,
        set: &Utf8Path,
        needs: &[Utf8PathBuf],
    ) -> Result<ChunkCheck, PortError> {
        let failed = |error| failed("check a chunked form", error);
        let never = CancellationToken::new();
        let of_set = check_set(set, &never).map_err(failed)?;
        let document = self.document(set)?;
        let source = open(set, needs)?;
        let of_form = check_form(&document, &source, None, &never).map_err(failed)?;
        let problems = of_set.problems.iter().chain(&of_form.problems);
        Ok(ChunkCheck {
            packs: of_set.packs,
            bytes: of_set.bytes,
            problems: problems.map(ToString::to_string).collect(),
        })
    }

    pub(super) fn document(&self, dir: &Utf8Path) -> Result<FormDocument, PortError> {
        let path = dir.join(DOCUMENT_NAME);
        FormDocument::read(&path, self.form_limits().document_bytes)
            .map(|(document, _)| document)
            .map_err(|error| failed(&format!("read {path}"), error))
    }
}

fn open(set: &Utf8Path, needs: &[Utf8PathBuf]) -> Result<DirectorySource, PortError> {
    let dirs = needs.iter().map(Utf8PathBuf::as_path).chain([set]);
    DirectorySource::open(dirs).map_err(|error| failed("find packs", error))
}

/// The sets in which the packs of others lie that the document refers to.
fn needs(document: &FormDocument, source: &DirectorySource) -> Result<Vec<OperationId>, PortError> {
    let dirs = document.packs.iter().filter_map(|pack| source.path(&pack.id)?.parent());
    let mut needs = dirs.map(named).collect::<Result<Vec<_>, _>>()?;
    needs.sort();
    needs.dedup();
    Ok(needs)
}

fn named(dir: &Utf8Path) -> Result<OperationId, PortError> {
    let name = dir.file_name().and_then(|name| name.parse().ok());
    name.ok_or_else(|| PortError::plain(Fault::Internal, format!("name the set {dir}")))
}

fn form_pack(id: &chunks::PackId, size_bytes: u64) -> Result<FormPack, PortError> {
    Ok(FormPack { pack: PackId::from_bytes(id.as_bytes()), size_bytes })
}

/// Bytes that are not what was stored, and keys that do not open, are refused; the rest is ours.
pub(super) fn failed(action: &str, error: ChunkedError) -> PortError {
    let is_refused = error.is_tampering() || matches!(error, ChunkedError::Key(_));
    let fault = if is_refused { Fault::Refused } else { Fault::Internal };
    PortError { action: action.to_owned(), fault, source: Some(error.into()) }
}
