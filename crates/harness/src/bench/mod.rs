//! `make bench`: how fast and how small, beside the bare tools doing the same work in the same run.
//!
//! A benchmark answers a [`Figure`]. Where there is a bare way, it and ours take turns, so that a machine that gets busy slows
//! both. `docs/benchmarks.md` says how each is measured.

mod bare;
mod busy;
mod channel;
mod chunked;
mod daemon;
mod exec;
mod figure;
mod files;
mod firecracker;
mod forks;
mod idle;
mod lazy;
mod pause;
mod records;
mod sample;
mod scene;
mod start;
mod transfer;

use crate::error::HarnessError;
use crate::program::missing;

pub use figure::Figure;

use chunked::Change;
use figure::Results;
use files::Direction;
use lazy::Order;
use scene::Scene;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Benchmark {
    CreateReady,
    RestoreReady,
    Pause256,
    Pause2048,
    PauseRestored,
    PauseDirty64,
    Fork100,
    ForkChild,
    DaemonRss,
    DaemonPerMachine,
    DaemonIdleCpu,
    GetP99,
    BusyGetP99,
    UploadRatio,
    DownloadRatio,
    FileIn,
    FileOut,
    ChannelIn,
    ChannelOut,
    ExecTrue,
    ChunkRatio,
    SecondUpload,
    SecondUploadScattered,
    IdleSnapshotMib,
    IdleSnapshotCpu,
    LazyRestore,
    LazyRestorePrefetch,
    FcCreate,
    FcStop,
    FcRestore,
    FcRestore128,
    FcRestore3072,
    FcPause3072,
    FcPauseDirty64,
    FcSnapshot,
    FcClone,
    FcCloneDaemon,
}

impl Benchmark {
    const ALL: [Self; 37] = [
        Self::CreateReady,
        Self::RestoreReady,
        Self::Pause256,
        Self::Pause2048,
        Self::PauseRestored,
        Self::PauseDirty64,
        Self::Fork100,
        Self::ForkChild,
        Self::DaemonRss,
        Self::DaemonPerMachine,
        Self::DaemonIdleCpu,
        Self::GetP99,
        Self::BusyGetP99,
        Self::UploadRatio,
        Self::DownloadRatio,
        Self::FileIn,
        Self::FileOut,
        Self::ChannelIn,
        Self::ChannelOut,
        Self::ExecTrue,
        Self::ChunkRatio,
        Self::SecondUpload,
        Self::SecondUploadScattered,
        Self::IdleSnapshotMib,
        Self::IdleSnapshotCpu,
        Self::LazyRestore,
        Self::LazyRestorePrefetch,
        Self::FcCreate,
        Self::FcStop,
        Self::FcRestore,
        Self::FcRestore128,
        Self::FcRestore3072,
        Self::FcPause3072,
        Self::FcPauseDirty64,
        Self::FcSnapshot,
        Self::FcClone,
        Self::FcCloneDaemon,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CreateReady => "create_ready",
            Self::RestoreReady => "restore_ready",
            Self::Pause256 => "pause_256",
            Self::Pause2048 => "pause_2048",
            Self::PauseRestored => "pause_restored",
            Self::PauseDirty64 => "pause_dirty_64_ms",
            Self::Fork100 => "fork_100",
            Self::ForkChild => "fork_child_mib",
            Self::DaemonRss => "daemon_rss_mib",
            Self::DaemonPerMachine => "daemon_per_machine_kib",
            Self::DaemonIdleCpu => "daemon_idle_cpu_percent",
            Self::GetP99 => "get_p99_ms",
            Self::BusyGetP99 => "busy_get_p99_ms",
            Self::UploadRatio => "upload_ratio",
            Self::DownloadRatio => "download_ratio",
            Self::FileIn => "file_in",
            Self::FileOut => "file_out",
            Self::ChannelIn => "channel_in",
            Self::ChannelOut => "channel_out",
            Self::ExecTrue => "exec_true",
            Self::ChunkRatio => "chunk_ratio",
            Self::SecondUpload => "second_upload",
            Self::SecondUploadScattered => "second_upload_scattered",
            Self::IdleSnapshotMib => "idle_snapshot_mib",
            Self::IdleSnapshotCpu => "idle_snapshot_cpu_s",
            Self::LazyRestore => "lazy_restore",
            Self::LazyRestorePrefetch => "lazy_restore_prefetch",
            Self::FcCreate => "fc_create",
            Self::FcStop => "fc_stop_ms",
            Self::FcRestore => "fc_restore",
            Self::FcRestore128 => "fc_restore_128_ms",
            Self::FcRestore3072 => "fc_restore_3072_ms",
            Self::FcPause3072 => "fc_pause_3072_ms",
            Self::FcPauseDirty64 => "fc_pause_dirty_64_ms",
            Self::FcSnapshot => "fc_snapshot",
            Self::FcClone => "fc_clone",
            Self::FcCloneDaemon => "fc_clone_daemon_kib",
        }
    }

    /// What it lacks here beside what all need.
    fn lacks(self) -> Option<String> {
        self.name().starts_with("fc_").then(firecracker::lacking).flatten()
    }

    /// Measures it, on a daemon of its own.
    async fn measure(self, scene: &Scene) -> Result<Figure, HarnessError> {
        let name = self.name();
        match self {
            Self::CreateReady => start::create(name, scene).await,
            Self::RestoreReady => start::restore(name, scene).await,
            Self::Pause256 => pause::fresh(name, scene, 256).await,
            Self::Pause2048 => pause::fresh(name, scene, 2048).await,
            Self::PauseRestored => pause::restored(name, scene).await,
            Self::PauseDirty64 => pause::dirty(name, scene).await,
            Self::Fork100 => forks::many(name, scene).await,
            Self::ForkChild => forks::child_mib(name, scene).await,
            Self::DaemonRss => daemon::resident(name, scene).await,
            Self::DaemonPerMachine => daemon::per_machine(name, scene).await,
            Self::DaemonIdleCpu => daemon::idle_cpu(name, scene).await,
            Self::GetP99 => records::get_p99(name, scene).await,
            Self::BusyGetP99 => busy::get_p99(name, scene).await,
            Self::UploadRatio => transfer::upload(name, scene).await,
            Self::DownloadRatio => transfer::download(name, scene).await,
            Self::FileIn => files::copy(name, scene, Direction::In).await,
            Self::FileOut => files::copy(name, scene, Direction::Out).await,
            Self::ChannelIn => channel::carried(name, scene, Direction::In).await,
            Self::ChannelOut => channel::carried(name, scene, Direction::Out).await,
            Self::ExecTrue => exec::exec_true(name, scene).await,
            Self::ChunkRatio => chunked::ratio(name, scene),
            Self::SecondUpload => chunked::second_upload(name, scene, Change::Extents),
            Self::SecondUploadScattered => chunked::second_upload(name, scene, Change::Pages),
            Self::IdleSnapshotMib => idle::stored(name, scene).await,
            Self::IdleSnapshotCpu => idle::spent(name, scene).await,
            Self::LazyRestore => lazy::restore(name, scene, Order::Unknown).await,
            Self::LazyRestorePrefetch => lazy::restore(name, scene, Order::Recorded).await,
            Self::FcCreate => firecracker::create(name, scene).await,
            Self::FcStop => firecracker::stop(name, scene).await,
            Self::FcRestore => firecracker::restore(name, scene).await,
            Self::FcRestore128 => firecracker::restore_of_size(name, scene, 128).await,
            Self::FcRestore3072 => firecracker::restore_of_size(name, scene, 3072).await,
            Self::FcPause3072 => firecracker::pause(name, scene, 3072).await,
            Self::FcPauseDirty64 => firecracker::pause(name, scene, 2048).await,
            Self::FcSnapshot => firecracker::snapshot(name, scene).await,
            Self::FcClone => firecracker::clone_time(name, scene).await,
            Self::FcCloneDaemon => firecracker::daemon_kib(name, scene).await,
        }
    }
}

/// Runs what is asked for, `--only name,name` or everything, and writes a file for each figure.
///
/// # Errors
/// When a name is unknown, or a benchmark failed; the others are run all the same.
pub async fn run(arguments: &[String]) -> Result<(), HarnessError> {
    let chosen = choose(arguments)?;
    let mut results = Results::empty()?;
    if let Some(what) = missing() {
        chosen.iter().for_each(|benchmark| results.skip(benchmark.name(), &what));
        return Ok(());
    }
    let scene = Scene::set().await?;
    let mut failed = Vec::new();
    for benchmark in chosen {
        if let Some(what) = benchmark.lacks() {
            results.skip(benchmark.name(), &what);
            continue;
        }
        eprintln!("bench: {} ...", benchmark.name());
        match benchmark.measure(&scene).await {
            Ok(figure) => results.keep(figure)?,
            Err(error) => {
                eprintln!("bench: {}: {}", benchmark.name(), error.chain());
                failed.push(benchmark.name());
            }
        }
    }
    println!("{results}");
    if failed.is_empty() {
        return Ok(());
    }
    Err(HarnessError::value("benchmarks that failed", failed.join(", ")))
}

fn choose(arguments: &[String]) -> Result<Vec<Benchmark>, HarnessError> {
    let names = match arguments {
        [] => return Ok(Benchmark::ALL.to_vec()),
        [option, names] if option == "--only" => names,
        _ => return Err(HarnessError::value("usage", "bench [--only NAME,NAME...]")),
    };
    let find = |name: &str| {
        let known = Benchmark::ALL.into_iter().find(|benchmark| benchmark.name() == name);
        known.ok_or_else(|| {
            let all = Benchmark::ALL.map(Benchmark::name).join(", ");
            HarnessError::value(name, format!("no benchmark; there are {all}"))
        })
    };
    names.split(',').filter(|name| !name.is_empty()).map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn benchmarks_are_chosen_by_name_and_all_without_any() {
        assert_eq!(choose(&[]).unwrap().len(), Benchmark::ALL.len());
        let some = choose(&words(&["--only", "get_p99_ms,pause_256"])).unwrap();
        assert_eq!(some, [Benchmark::GetP99, Benchmark::Pause256]);
        choose(&words(&["--only", "speed"])).unwrap_err();
        choose(&words(&["--all"])).unwrap_err();
    }
}
