//! Chunked forms of the fake host: a set holds one document, and its packs are not simulated but named.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{OperationId, PackId};
use engine::layout::snapshot_file;
use engine::port::{
    ChunkCheck, CutJob, Fault, FormPack, FormTarget, FormUrl, Forms, PackPut, PortError, SendJob,
    Sent,
};
use engine::record::{ChunkedForm, Manifest};

use super::chunks::{FakeChunks, fetched, manifest, missing};
use super::content::{Content, ManifestDocument};
use super::disk::Inode;
use super::objects::Object;
use super::sealed::document;
use super::world::State;

/// What a document of the fake host takes on the disk.
const DOCUMENT_BYTES: u64 = 4096;
/// What each of its packs takes.
const PACK_BYTES: u64 = 8 << 20;

#[async_trait]
impl Forms for FakeChunks {
    async fn cut(&self, job: &CutJob, operation: &OperationId) -> Result<ChunkedForm, PortError> {
        let pack = job.into.join("1.pack");
        self.life
            .effect("forms.cut: packs", |state| {
                for form in &job.known {
                    read_form(state, &job.sets.join(form.set.as_str()))?;
                }
                let inode = plain(Content::Text("a pack".into()), PACK_BYTES);
                state.disk.write(&pack, inode).map(drop)
            })
            .await?;
        self.life
            .effect("forms.cut: document", |state| {
                let sealed = document(state, &job.dir)?;
                let written = ManifestDocument { operation: operation.to_string(), ..sealed };
                let content = Content::Manifest(Box::new(written));
                let document_sha256 = content.sha256();
                let path = job.into.join(snapshot_file::CHUNKED);
                state.disk.write(&path, plain(content, DOCUMENT_BYTES))?;
                Ok(ChunkedForm {
                    set: operation.clone(),
                    // Something of the nearest is always the same.
                    needs: job.known.first().map(|form| form.set.clone()).into_iter().collect(),
                    document_sha256,
                    document_bytes: DOCUMENT_BYTES,
                    new_bytes: PACK_BYTES,
                    key_name: None,
                })
            })
            .await
    }

    async fn form_packs(&self, set: &Utf8Path) -> Result<Vec<FormPack>, PortError> {
        self.life
            .effect("forms.form_packs", |state| {
                read_form(state, set)?;
                Ok(vec![FormPack { pack: pack_of(set), size_bytes: PACK_BYTES }])
            })
            .await
    }

    async fn send_form(&self, job: &SendJob) -> Result<Sent, PortError> {
        for put in &job.packs {
            self.life
                .effect("forms.send_form: pack", |state| {
                    read_form(state, &job.set)?;
                    let content = Content::Text("a pack".into());
                    state.objects.put(put.url.as_str(), Object { content, size_bytes: PACK_BYTES });
                    Ok(())
                })
                .await?;
        }
        if let Some(url) = &job.document {
            self.life
                .effect("forms.send_form: document", |state| {
                    let content = read_form(state, &job.set)?;
                    let size_bytes = DOCUMENT_BYTES;
                    state.objects.put(url.as_str(), Object { content, size_bytes });
                    Ok(())
                })
                .await?;
        }
        let packs = job.packs.len() as u64;
        Ok(Sent { packs, bytes: packs * PACK_BYTES })
    }

    async fn fetch_form(&self, form: &FormUrl) -> Result<Manifest, PortError> {
        self.life
            .effect("forms.fetch_form", |state| {
                let url = &form.url;
                let object = state.objects.read(url.as_str()).ok_or_else(|| missing(url))?;
                match &object.content {
                    Content::Manifest(document) if object.content.sha256() == form.sha256 => {
                        Ok(manifest(document))
                    }
                    _ => Err(PortError::plain(Fault::Refused, format!("verify {url:?}"))),
                }
            })
            .await
    }

    async fn keep_form(&self, form: &FormUrl, dir: &Utf8Path) -> Result<(), PortError> {
        self.fetch_form(form).await?;
        self.life
            .effect("forms.keep_form", |state| {
                let url = &form.url;
                let object = state.objects.read(url.as_str()).ok_or_else(|| missing(url))?;
                let inode = fetched(object.content.clone(), object.size_bytes, 0);
                state.disk.write(&dir.join(snapshot_file::MANIFEST), inode).map(drop)
            })
            .await
    }

    async fn fetch_packs(
        &self,
        _document: &Utf8Path,
        packs: &[PackPut],
        to: &Utf8Path,
    ) -> Result<(), PortError> {
        self.life
            .effect("forms.fetch_packs: directory", |state| {
                state.disk.make_dir(to, None);
                Ok(())
            })
            .await?;
        for put in packs {
            self.life
                .effect("forms.fetch_packs: pack", |state| {
                    let url = &put.url;
                    let object = state.objects.read(url.as_str()).ok_or_else(|| missing(url))?;
                    let inode = fetched(object.content.clone(), object.size_bytes, 0);
                    state.disk.write(&to.join(format!("{}.pack", put.pack)), inode).map(drop)
                })
                .await?;
        }
        Ok(())
    }

    async fn assemble(&self, target: &FormTarget) -> Result<(), PortError> {
        self.life
            .effect("forms.assemble", |state| {
                let wanted = document(state, &target.document)?;
                let file = wanted.files.iter().find(|file| file.artifact == target.artifact);
                let file = file.ok_or_else(|| {
                    PortError::plain(Fault::Refused, format!("find {}", target.artifact))
                })?;
                let content = state.objects.cut(&file.sha256).ok_or_else(|| {
                    PortError::plain(Fault::Refused, format!("read chunks of {}", target.artifact))
                })?;
                let size_bytes = target.size_bytes.unwrap_or(0).max(file.size_bytes);
                let inode = fetched(content, size_bytes, target.owner.unwrap_or(0));
                state.disk.write(&target.to, inode).map(drop)
            })
            .await
    }

    async fn check_form(
        &self,
        set: &Utf8Path,
        needs: &[Utf8PathBuf],
    ) -> Result<ChunkCheck, PortError> {
        self.life
            .effect("forms.check_form", |state| {
                let sets = needs.iter().map(Utf8PathBuf::as_path).chain([set]);
                let problems = sets.filter_map(|set| Some(read_form(state, set).err()?.chain()));
                Ok(ChunkCheck { packs: 1, bytes: PACK_BYTES, problems: problems.collect() })
            })
            .await
    }

    async fn sets_in(&self, sets: &Utf8Path) -> Result<Vec<OperationId>, PortError> {
        self.life
            .effect("forms.sets_in", |state| {
                let names = state.disk.entries().filter_map(|(path, _)| {
                    (path.parent() == Some(sets)).then(|| path.file_name()?.parse().ok()).flatten()
                });
                Ok(names.collect())
            })
            .await
    }
}

fn pack_of(set: &Utf8Path) -> PackId {
    let digest = Content::Text(set.to_string()).sha256();
    digest.as_str().parse().expect("a digest is 64 hexadecimal digits")
}

fn read_form(state: &State, set: &Utf8Path) -> Result<Content, PortError> {
    Ok(state.disk.file(&set.join(snapshot_file::CHUNKED))?.1.content.clone())
}

fn plain(content: Content, size_bytes: u64) -> Inode {
    Inode { content, size_bytes, owner: 0, is_read_only: true, was_held_by_vmm: false }
}
