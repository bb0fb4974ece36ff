//! `make bench`: how fast and how small, beside the bare tools doing the same work in the same run.
//!
//! A benchmark answers a [`Figure`]. Where there is a bare way, it and ours take turns, so that a machine that gets busy slows
//! both. `docs/benchmarks.md` says how each is measured.

mod bare;
mod daemon;
mod exec;
mod figure;
mod files;
mod pause;
mod records;
mod sample;
mod scene;
mod start;
mod transfer;

use crate::error::HarnessError;
use crate::program::missing;

pub use figure::Figure;

use figure::Results;
use files::Direction;
use scene::Scene;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Benchmark {
    CreateReady,
    RestoreReady,
    Pause256,
    Pause2048,
    PauseRestored,
    DaemonRss,
    DaemonPerMachine,
    DaemonIdleCpu,
    GetP99,
    UploadRatio,
    DownloadRatio,
    FileIn,
    FileOut,
    ExecTrue,
}

impl Benchmark {
    const ALL: [Self; 14] = [
        Self::CreateReady,
        Self::RestoreReady,
        Self::Pause256,
        Self::Pause2048,
        Self::PauseRestored,
        Self::DaemonRss,
        Self::DaemonPerMachine,
        Self::DaemonIdleCpu,
        Self::GetP99,
        Self::UploadRatio,
        Self::DownloadRatio,
        Self::FileIn,
        Self::FileOut,
        Self::ExecTrue,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CreateReady => "create_ready",
            Self::RestoreReady => "restore_ready",
            Self::Pause256 => "pause_256",
            Self::Pause2048 => "pause_2048",
            Self::PauseRestored => "pause_restored",
            Self::DaemonRss => "daemon_rss_mib",
            Self::DaemonPerMachine => "daemon_per_machine_kib",
            Self::DaemonIdleCpu => "daemon_idle_cpu_percent",
            Self::GetP99 => "get_p99_ms",
            Self::UploadRatio => "upload_ratio",
            Self::DownloadRatio => "download_ratio",
            Self::FileIn => "file_in",
            Self::FileOut => "file_out",
            Self::ExecTrue => "exec_true",
        }
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
            Self::DaemonRss => daemon::resident(name, scene).await,
            Self::DaemonPerMachine => daemon::per_machine(name, scene).await,
            Self::DaemonIdleCpu => daemon::idle_cpu(name, scene).await,
            Self::GetP99 => records::get_p99(name, scene).await,
            Self::UploadRatio => transfer::upload(name, scene).await,
            Self::DownloadRatio => transfer::download(name, scene).await,
            Self::FileIn => files::copy(name, scene, Direction::In).await,
            Self::FileOut => files::copy(name, scene, Direction::Out).await,
            Self::ExecTrue => exec::exec_true(name, scene).await,
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
