//! Fillings of the fake host. A shown file is another name of the file that is filled: what is written to the one is in the other.

use std::time::Duration;

use async_trait::async_trait;
use contract::OperationId;
use contract::lazy::Touched;
use engine::port::{Fault, Fill, FillRequest, Filling, FillingPlace, PortError};

use super::chunks::{FakeChunks, fetched, missing};
use super::sealed::document;
use super::world::State;

/// A filling that has processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FakeFilling {
    /// Whether its files are plain files.
    pub is_full: bool,
}

#[async_trait]
impl Filling for FakeChunks {
    async fn start_filling(&self, request: &FillRequest) -> Result<(), PortError> {
        let shown = request.place.dir.join("files");
        self.life
            .effect("chunks.start_filling: lay out", |state| {
                for dir in [&request.place.dir, &shown] {
                    state.disk.make_dir(dir, None);
                }
                for pack in &request.packs {
                    state.objects.read(pack.url.as_str()).ok_or_else(|| missing(&pack.url))?;
                }
                let wanted = document(state, &request.document)?;
                request.files.iter().try_for_each(|file| {
                    let sealed =
                        wanted.files.iter().find(|sealed| sealed.artifact == file.artifact);
                    let refused = |what: &str| {
                        PortError::plain(Fault::Refused, format!("{what} {}", file.artifact))
                    };
                    let sealed = sealed.ok_or_else(|| refused("find"))?;
                    let content = state.objects.cut(&sealed.sha256);
                    let content = content.ok_or_else(|| refused("read chunks of"))?;
                    let size_bytes = file.size_bytes.unwrap_or(0).max(sealed.size_bytes);
                    let inode = fetched(content, size_bytes, request.owner);
                    state.disk.write(&file.to, inode).map(drop)
                })
            })
            .await?;
        self.life
            .effect("chunks.start_filling: processes", |state| {
                let operation = request.place.operation.clone();
                state.fillings.insert(operation, FakeFilling::default());
                request
                    .files
                    .iter()
                    .try_for_each(|file| state.disk.link(&file.to, &request.place.shown(&file.to)))
            })
            .await
    }

    async fn filling(&self, place: &FillingPlace) -> Result<Fill, PortError> {
        let filling = self.life.world().lock().fillings.get(&place.operation).copied();
        Ok(match filling {
            Some(FakeFilling { is_full: true }) => Fill::Full,
            Some(FakeFilling { is_full: false }) | None => Fill::Filling { missing_bytes: None },
        })
    }

    async fn await_filled(
        &self,
        place: &FillingPlace,
        _deadline: Duration,
    ) -> Result<(), PortError> {
        self.life
            .effect("chunks.await_filled", |state| {
                state.fillings.insert(place.operation.clone(), FakeFilling { is_full: true });
                Ok(())
            })
            .await
    }

    async fn working_set(&self, _place: &FillingPlace) -> Result<Vec<Touched>, PortError> {
        Ok(vec![])
    }

    async fn end_filling(&self, place: &FillingPlace) -> Result<(), PortError> {
        self.life
            .effect("chunks.end_filling", |state| {
                let shown = place.dir.join("files");
                let is_used = state.processes.values().any(|process| {
                    process.spec.disks.iter().any(|disk| disk.path.starts_with(&shown))
                });
                if is_used {
                    state.defects.insert("P5: a filling is ended under a machine".to_owned());
                }
                end(state, &place.operation);
                state.disk.remove_tree(&shown);
                Ok(())
            })
            .await
    }

    async fn carried_fillings(&self) -> Result<Vec<OperationId>, PortError> {
        Ok(self.life.world().lock().fillings.keys().cloned().collect())
    }

    async fn end_orphan_filling(&self, operation: &OperationId) -> Result<(), PortError> {
        self.life
            .effect("chunks.end_orphan_filling", |state| {
                end(state, operation);
                Ok(())
            })
            .await
    }
}

fn end(state: &mut State, operation: &OperationId) {
    state.fillings.remove(operation);
}
