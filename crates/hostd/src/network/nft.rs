//! Runs `nft` with JSON on its standard input, in the network namespace of the calling thread.
//!
//! One call is one transaction: it is applied whole or not at all.

use std::{process::Stdio, time::Duration};

use camino::Utf8PathBuf;
use nftables::schema::Nftables;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::error::NetworkError;

/// `nft` takes 5 to 15 ms for rules of our size; a loaded machine takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// How much of what `nft` says against our rules is kept.
const MESSAGE_LIMIT_BYTES: u64 = 2_000;

/// How much `nft list` may print: far above any firewall of a host.
const LISTING_LIMIT_BYTES: u64 = 16 << 20;

/// Where distributions put it; the daemon's PATH often lacks these.
const PLACES: [&str; 4] = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"];

/// The `nft` program of this host.
#[derive(Debug, Clone)]
pub(super) struct Nft {
    program: Utf8PathBuf,
}

impl Nft {
    /// Finds the program.
    pub(super) fn find() -> Option<Self> {
        PLACES
            .iter()
            .map(Utf8PathBuf::from)
            .find(|place| place.is_file())
            .map(|program| Self { program })
    }

    /// Applies `rules`, those of `subject`.
    pub(super) async fn apply(
        &self,
        subject: &str,
        rules: &Nftables<'_>,
    ) -> Result<(), NetworkError> {
        let input = serde_json::to_vec(rules)
            .map_err(|source| NetworkError::NftJson { action: "write", source })?;
        self.run(subject, &["-j", "-f", "-"], &input).await?;
        Ok(())
    }

    /// What `nft -j list` prints for `what`, such as `chains`.
    pub(super) async fn list(&self, what: &str) -> Result<Nftables<'static>, NetworkError> {
        let output = self.run(what, &["-j", "list", what], &[]).await?;
        serde_json::from_slice(&output)
            .map_err(|source| NetworkError::NftJson { action: "read", source })
    }

    async fn run(
        &self,
        subject: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, NetworkError> {
        let failed = |source| NetworkError::NftRun { program: self.program.clone(), source };
        let child = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let Ok(result) = tokio::time::timeout(DEADLINE, converse(child, input)).await else {
            return Err(NetworkError::Deadline {
                action: "run nft",
                subject: subject.to_owned(),
                limit: DEADLINE,
            });
        };
        let (status, output, message) = result.map_err(failed)?;
        if status.success() {
            return Ok(output);
        }
        Err(NetworkError::NftRefused {
            subject: subject.to_owned(),
            status,
            message: String::from_utf8_lossy(&message).trim().to_owned(),
        })
    }
}

/// Feeds the child and reads what it says, all at once, so that no pipe fills up; then waits for it.
async fn converse(
    mut child: Child,
    input: &[u8],
) -> std::io::Result<(std::process::ExitStatus, Vec<u8>, Vec<u8>)> {
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let feed = async {
        match stdin {
            Some(mut stdin) => match stdin.write_all(input).await {
                // It ended early; its status and message say why.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                result => result,
            },
            None => Ok(()),
        }
    };
    let (_, output, message) = tokio::try_join!(
        feed,
        read_bounded(stdout, LISTING_LIMIT_BYTES),
        read_bounded(stderr, MESSAGE_LIMIT_BYTES),
    )?;
    Ok((child.wait().await?, output, message))
}

/// Reads to the end and keeps the first `limit_bytes`.
async fn read_bounded(
    pipe: Option<impl tokio::io::AsyncRead + Unpin>,
    limit_bytes: u64,
) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(limit_bytes).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}
