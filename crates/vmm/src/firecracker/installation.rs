//! The Firecrackers of this host: found, asked for their versions, copied into runtime directories.

use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use contract::Sha256Hex;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::jail::runtime::{self, FIRMWARE_DIR, Runtime, RuntimeError, Sources};

use super::config::Binaries;
use super::error::FirecrackerError;
use super::version::Version;

/// More than any version's text.
const OUTPUT_LIMIT_BYTES: u64 = 16 * 1024;

/// A Firecracker with its jailer that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The copy.
    runtime: Runtime,
    /// The jailer's name in it.
    jailer_name: String,
    /// Its version.
    pub version: Version,
    /// SHA-256 of Firecracker itself.
    pub sha256: Sha256Hex,
}

impl Installed {
    /// Firecracker on the host.
    pub fn firecracker(&self) -> Utf8PathBuf {
        self.runtime.program()
    }

    /// The jailer on the host.
    pub fn jailer(&self) -> Utf8PathBuf {
        self.runtime.directory.join(FIRMWARE_DIR).join(&self.jailer_name)
    }
}

/// All Firecrackers of this host; the first is that of new machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    versions: Vec<Installed>,
}

impl Installation {
    /// Prepares the default, which must be good, and every further version that is. A bad one is told in the log and left out.
    pub(super) async fn prepare(
        default: &Binaries,
        directory: Option<&Utf8Path>,
        runtimes: &Utf8Path,
        deadline: Duration,
    ) -> Result<Self, FirecrackerError> {
        let mut versions = vec![prepare(default, runtimes, deadline).await?];
        for binaries in further(directory)? {
            match prepare(&binaries, runtimes, deadline).await {
                Ok(found) if versions.iter().any(|other| other.sha256 == found.sha256) => {}
                Ok(found) => versions.push(found),
                Err(error) => {
                    let error = error.during("prepare a further Firecracker");
                    tracing::warn!(error = error.chain(), "this Firecracker is left out");
                }
            }
        }
        Ok(Self { versions })
    }

    /// The one of new machines.
    pub fn default(&self) -> &Installed {
        &self.versions[0]
    }

    /// Every one of them.
    pub fn versions(&self) -> &[Installed] {
        &self.versions
    }

    /// The very binary that wrote a snapshot.
    pub fn by_sha256(&self, sha256: &Sha256Hex) -> Option<&Installed> {
        self.versions.iter().find(|installed| installed.sha256 == *sha256)
    }
}

fn further(directory: Option<&Utf8Path>) -> Result<Vec<Binaries>, FirecrackerError> {
    let Some(directory) = directory else { return Ok(Vec::new()) };
    let failed =
        |source| FirecrackerError::File { action: "list", path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in directory.read_dir_utf8().map_err(failed)? {
        let path = entry.map_err(failed)?.path().to_owned();
        if path.is_dir() {
            found.push(Binaries {
                firecracker: path.join("firecracker"),
                jailer: path.join("jailer"),
            });
        }
    }
    found.sort_by(|one, other| one.firecracker.cmp(&other.firecracker));
    Ok(found)
}

async fn prepare(
    binaries: &Binaries,
    runtimes: &Utf8Path,
    deadline: Duration,
) -> Result<Installed, FirecrackerError> {
    let Binaries { firecracker, jailer } = binaries;
    is_static(firecracker)?;
    let version = ask(firecracker, "Firecracker", deadline).await?;
    if let Some(reason) = version.objection() {
        return Err(unusable(firecracker, reason));
    }
    let jailer_version = ask(jailer, "Jailer", deadline).await?;
    if jailer_version != version {
        let reason = format!("it is of version {jailer_version}, and {firecracker} of {version}");
        return Err(unusable(jailer, reason));
    }
    let sources = Sources {
        program: firecracker.clone(),
        modules: Vec::new(),
        firmware: vec![jailer.clone()],
    };
    let runtimes = runtimes.to_owned();
    let runtime = tokio::task::spawn_blocking(move || runtime::prepare(&sources, &runtimes)).await;
    let runtime =
        runtime.map_err(|error| unusable(firecracker, format!("reading it failed: {error}")))??;
    let sha256 = runtime
        .program_sha256_hex
        .parse()
        .map_err(|_| unusable(firecracker, "no digest".into()))?;
    let jailer_name = jailer.file_name().unwrap_or("jailer").to_owned();
    Ok(Installed { runtime, jailer_name, version, sha256 })
}

/// There is no loader and no library in a jail.
fn is_static(binary: &Utf8Path) -> Result<(), FirecrackerError> {
    match runtime::interpreter(binary) {
        Ok(None) => Ok(()),
        Ok(Some(interpreter)) => Err(unusable(
            binary,
            format!("it is not static but needs {interpreter}, which no jail has"),
        )),
        Err(source) => Err(RuntimeError::Resolve { program: binary.to_owned(), source }.into()),
    }
}

/// What a binary says of itself, if it does so in time.
async fn ask(
    binary: &Utf8Path,
    name: &str,
    deadline: Duration,
) -> Result<Version, FirecrackerError> {
    let failed = |source| FirecrackerError::File { action: "run", path: binary.to_owned(), source };
    let mut child = Command::new(binary)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let output = child.stdout.take();
    let asking = async {
        let mut said = Vec::new();
        if let Some(output) = output {
            output.take(OUTPUT_LIMIT_BYTES).read_to_end(&mut said).await?;
        }
        child.wait().await.map(|status| (status, said))
    };
    let answer = tokio::time::timeout(deadline, asking).await;
    let (status, said) = answer
        .map_err(|_elapsed| {
            unusable(
                binary,
                format!("it did not say its version within {} ms", deadline.as_millis()),
            )
        })?
        .map_err(failed)?;
    let said = String::from_utf8_lossy(&said);
    Version::said_by(name, &said).ok_or_else(|| {
        let first = said.lines().next().unwrap_or_default().chars().take(80).collect::<String>();
        unusable(binary, format!("asked for its version it says {first:?} and leaves with {status}, which is no {name}"))
    })
}

fn unusable(binary: &Utf8Path, reason: String) -> FirecrackerError {
    FirecrackerError::Unusable { binary: binary.to_owned(), reason }
}
