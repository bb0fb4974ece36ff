//! The half of the port `Chunks` that fills files while a guest uses them: processes of the crate `lazy`, each filling in a control group of
//! its own, named by its operation.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use chunks::chunked::{DOCUMENT_NAME, FormDocument};
use contract::OperationId;
use contract::lazy::Touched;
use engine::port::{
    Fault, Fill, FillRequest, FilledFile, Filling, FillingPlace, PackPut, PortError,
};
use lazy::job::{FillJob, JobFile, JobPack, SecretText, VERSION};
use lazy::order::{MAXIMUM_TOUCHES, Touch, coalesce};
use lazy::status::FillStatus;
use lazy::supervisor::{READY, SUPERVISOR_COMMAND};
use vmm::cgroup::{Cgroup, Limits};
use vmm::jail::{Launcher, start_companion};

use super::blocking;
use super::chunk_words::artifact_name;
use super::chunks::HostChunks;

/// Longest wait of a guest for one chunk, all retries included: longer than a store takes to fail over.
const FAULT_DEADLINE_MS: u64 = 60_000;
/// Longest wait for the shown files.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Longest wait for the end of two processes.
const END_DEADLINE: Duration = Duration::from_secs(10);
/// How often the status of a filling is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(100);
/// The group of all fillings, within that of the daemon's runs.
const FILLINGS: &str = "fillings";
/// What supervisor and server may use: connections, their buffers and the digests of large disks.
const LIMITS: Limits = Limits { memory_bytes: 1 << 30, cpu_percent: 200, tasks: 256 };

/// Where the control groups of a daemon are.
#[derive(Debug, Clone)]
pub struct FillingGroups {
    /// That of fillings.
    pub fillings: Utf8PathBuf,
    /// That of runs, which a filling ends when a chunk is lost.
    pub runs: Utf8PathBuf,
}

impl HostChunks {
    fn group(&self, operation: &OperationId) -> Cgroup {
        Cgroup::at(&self.groups.fillings, operation.as_str())
    }

    async fn start(&self, place: &FillingPlace) -> Result<(), PortError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            PortError::internal(format!("start the filling in {}", place.dir), error)
        };
        let group = self.group(&place.operation);
        let all = Cgroup::at(&self.groups.runs, FILLINGS);
        for group in [&all, &group] {
            group.ensure().map_err(|error| failed(error.into()))?;
        }
        group.limit(&LIMITS).map_err(|error| failed(error.into()))?;
        let program = Launcher {
            program: "/proc/self/exe".into(),
            arguments: vec![SUPERVISOR_COMMAND.to_owned(), place.dir.to_string()],
        };
        let word = start_companion(&program, &group, START_DEADLINE).await;
        match word.map_err(|error| failed(error.into()))? {
            word if word == READY => Ok(()),
            word => Err(failed(word.trim_end().into())),
        }
    }

    fn job(&self, request: &FillRequest) -> Result<FillJob, PortError> {
        let document = self.document(&request.document)?;
        let files = request.files.iter().map(|file| job_file(file, &document));
        let place_of = |artifact| request.files.iter().position(|file| file.artifact == artifact);
        let prefetch = request.working_set.iter().filter_map(|touched| {
            let Touched { artifact, first_chunk, chunk_count } = *touched;
            let chunks = first_chunk..first_chunk.saturating_add(chunk_count);
            let file = place_of(artifact)?;
            Some(chunks.map(move |chunk| Touch { file, chunk }))
        });
        Ok(FillJob {
            version: VERSION,
            server_uid: request.server_uid,
            owner: request.owner,
            fault_deadline_ms: FAULT_DEADLINE_MS,
            vmm_cgroup: self.groups.runs.join(request.place.operation.as_str()),
            renewal_url: request
                .renewal_url
                .as_ref()
                .map(|url| SecretText(url.as_str().to_owned())),
            document: request.document.join(DOCUMENT_NAME),
            packs: job_packs(&request.packs, &document)?,
            files: files.collect::<Result<_, _>>()?,
            prefetch: prefetch.flatten().take(MAXIMUM_TOUCHES).collect(),
        })
    }
}

#[async_trait]
impl Filling for HostChunks {
    async fn start_filling(&self, request: &FillRequest) -> Result<(), PortError> {
        let (this, request) = (self.clone(), request.clone());
        let place = request.place.clone();
        blocking("lay out a filling", move || {
            let job = this.job(&request)?;
            let dir = &request.place.dir;
            lazy::place::prepare(dir, &job)
                .map_err(|error| PortError::io(format!("lay out {dir}"), error))
        })
        .await?;
        self.start(&place).await
    }

    async fn filling(&self, place: &FillingPlace) -> Result<Fill, PortError> {
        let dir = place.dir.clone();
        blocking("look at a filling", move || {
            look(&dir)
                .map_err(|error| PortError::io(format!("look at the filling in {dir}"), error))
        })
        .await
    }

    async fn await_filled(
        &self,
        place: &FillingPlace,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let until = tokio::time::Instant::now() + deadline;
        let group = self.group(&place.operation);
        loop {
            if self.filling(place).await? == Fill::Full {
                return Ok(());
            }
            let is_alive = group.is_populated().map_err(|error| {
                PortError::internal(format!("look at the filling in {}", place.dir), error)
            })?;
            if !is_alive {
                // After a boot of the host, or a loss: with the bits of what is there it goes on.
                self.start(place).await?;
            }
            if tokio::time::Instant::now() >= until {
                let action = format!("fill the files in {}", place.dir);
                return Err(PortError::plain(Fault::Deadline, action));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn working_set(&self, place: &FillingPlace) -> Result<Vec<Touched>, PortError> {
        let dir = place.dir.clone();
        blocking("read a working set", move || {
            let failed = |error| PortError::io(format!("read the working set in {dir}"), error);
            let job = FillJob::read(&dir).map_err(failed)?;
            let touches = lazy::place::touches(&dir).map_err(failed)?;
            let runs = coalesce(touches, u64::MAX).into_iter().filter_map(|run| {
                let artifact = job.files.get(run.file)?.artifact.as_str().parse().ok()?;
                let chunk_count = run.chunks.end - run.chunks.start;
                Some(Touched { artifact, first_chunk: run.chunks.start, chunk_count })
            });
            Ok(runs.collect())
        })
        .await
    }

    async fn end_filling(&self, place: &FillingPlace) -> Result<(), PortError> {
        self.end_orphan_filling(&place.operation).await?;
        let dir = place.dir.clone();
        blocking("take away shown files", move || {
            lazy::place::unmount(&dir)
                .map_err(|error| PortError::io(format!("unmount what is in {dir}"), error))
        })
        .await
    }

    async fn carried_fillings(&self) -> Result<Vec<OperationId>, PortError> {
        let names = Cgroup::names(&self.groups.fillings)
            .map_err(|error| PortError::internal("list the control groups of fillings", error))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn end_orphan_filling(&self, operation: &OperationId) -> Result<(), PortError> {
        let ended = self.group(operation).end(END_DEADLINE).await;
        ended.map_err(|error| PortError::internal(format!("end filling {operation}"), error))
    }
}

/// What the supervisor has said, or where it is dead, what servers have noted.
fn look(dir: &Utf8Path) -> io::Result<Fill> {
    let said = match FillStatus::read(dir)? {
        Some(FillStatus::Full) => return Ok(Fill::Full),
        Some(FillStatus::Lost { reason }) => return Ok(Fill::Lost { reason }),
        Some(FillStatus::Filling { missing_bytes }) => Some(missing_bytes),
        None => None,
    };
    if lazy::place::is_supervised(dir)? {
        return Ok(Fill::Filling { missing_bytes: said });
    }
    let job = FillJob::read(dir)?;
    let missing_bytes = lazy::place::missing_bytes(dir, &job)?;
    if missing_bytes == Some(0) {
        lazy::place::finish(dir, &job)?;
        return Ok(Fill::Full);
    }
    Ok(Fill::Filling { missing_bytes })
}

fn job_file(file: &FilledFile, document: &FormDocument) -> Result<JobFile, PortError> {
    let artifact = artifact_name(file.artifact)?;
    let form = document.file(&artifact).ok_or_else(|| {
        PortError::plain(Fault::Refused, format!("find {artifact} in the chunked form"))
    })?;
    Ok(JobFile {
        name: file.to.file_name().unwrap_or_default().to_owned(),
        path: file.to.clone(),
        size_bytes: file.size_bytes.unwrap_or(0).max(form.size_bytes),
        artifact,
    })
}

/// A URL for every pack of the document; those of others are left out.
fn job_packs(packs: &[PackPut], document: &FormDocument) -> Result<Vec<JobPack>, PortError> {
    let urls: HashMap<&str, &PackPut> =
        packs.iter().map(|pack| (pack.pack.as_str(), pack)).collect();
    let job_pack = |pack: chunks::PackId| {
        let given = urls.get(pack.to_string().as_str()).ok_or_else(|| {
            PortError::plain(Fault::Refused, format!("find a URL for pack {pack}"))
        })?;
        Ok(JobPack { pack, url: SecretText(given.url.as_str().to_owned()) })
    };
    document.packs.iter().map(|entry| job_pack(entry.id)).collect()
}

/// The groups of a daemon whose runs have theirs in `runs`. No operation has the name of that of fillings.
pub(crate) fn groups(mount: &Utf8Path, runs: &str) -> FillingGroups {
    let runs = mount.join(runs);
    FillingGroups { fillings: runs.join(FILLINGS), runs }
}
