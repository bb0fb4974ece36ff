//! Device state out of a paused QEMU and into a fresh one: a migration that leaves guest RAM to its file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::{Duration, Instant};

use super::config::Deadlines;
use super::error::QemuError;
use super::qmp::{Monitor, VmStatus};

/// More than any device state has; the usual is 70 KiB. A QEMU that a guest has taken over cannot fill the disk with it.
const MAXIMUM_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes a second: QEMU throttles a migration unless told that nothing is in its way.
const BANDWIDTH: u64 = 1 << 40;

/// How often the end of a migration is looked for where no event tells it.
const POLLED_EVERY: Duration = Duration::from_micros(200);

/// Says what every capture needs, before the guest stands still for it.
pub(super) async fn prepare(monitor: &mut Monitor) -> Result<(), QemuError> {
    monitor.set_migration_capabilities().await?;
    Ok(monitor.set_migration_bandwidth(BANDWIDTH).await?)
}

/// Writes the device state of a paused guest, whose monitor is [prepared](prepare), to the new file `into`. The guest stays paused, whatever happens.
///
/// QEMU writes to a pipe and never holds the file, so the file may be sealed as it is.
pub(super) async fn capture(
    monitor: &mut Monitor,
    into: &Utf8Path,
    deadlines: &Deadlines,
) -> Result<(), QemuError> {
    match monitor.query_status().await? {
        VmStatus::Paused | VmStatus::Postmigrate => {}
        status => return Err(QemuError::NotPaused { status }),
    }
    let failed =
        |source| QemuError::File { action: "write device state to", path: into.to_owned(), source };
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(into).map_err(failed)?;
    let (reader, writer) = io::pipe().map_err(failed)?;
    let reader = pipe::Receiver::from_owned_fd(reader.into()).map_err(failed)?;
    monitor.migrate_to(writer.as_fd()).await?;
    // QEMU has its own; the pipe ends when it closes that.
    drop(writer);
    let kept = async {
        tokio::time::timeout(deadlines.device_state, keep(reader, file))
            .await
            .map_err(|_elapsed| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)
    };
    let migrated =
        async { monitor.wait_migration(deadlines.device_state).await.map_err(QemuError::from) };
    tokio::try_join!(kept, migrated)?;
    settle(monitor, deadlines).await.map(drop)
}

async fn keep(reader: pipe::Receiver, file: File) -> io::Result<()> {
    let mut file = tokio::fs::File::from_std(file);
    let length = tokio::io::copy(&mut reader.take(MAXIMUM_BYTES + 1), &mut file).await?;
    file.flush().await?;
    if length > MAXIMUM_BYTES {
        return Err(io::Error::other(format!("device state has more than {MAXIMUM_BYTES} bytes")));
    }
    Ok(())
}

/// Loads device state into a QEMU that waits for it. The guest is paused afterwards.
pub(super) async fn load(
    monitor: &mut Monitor,
    from: &Utf8Path,
    deadlines: &Deadlines,
) -> Result<(), QemuError> {
    let failed = |source| QemuError::File {
        action: "read device state from",
        path: from.to_owned(),
        source,
    };
    let file = File::open(from).map_err(failed)?;
    monitor.set_migration_capabilities().await?;
    monitor.migrate_from(file.as_fd()).await?;
    monitor.wait_migration(deadlines.device_state).await?;
    match monitor.query_status().await? {
        VmStatus::Paused | VmStatus::Prelaunch => Ok(()),
        status => Err(QemuError::NotPaused { status }),
    }
}

/// Makes a guest run, whatever a capture that was cut has left it in.
pub(super) async fn resume(monitor: &mut Monitor, deadlines: &Deadlines) -> Result<(), QemuError> {
    match settle(monitor, deadlines).await? {
        VmStatus::Running => Ok(()),
        _stopped => Ok(monitor.cont().await?),
    }
}

/// Waits until no migration is being finished, since QEMU refuses to go on before; answers the status then. A migration that has completed
/// is finished a moment after its event, without a further one. One whose reader is gone is given up.
async fn settle(monitor: &mut Monitor, deadlines: &Deadlines) -> Result<VmStatus, QemuError> {
    let until = Instant::now() + deadlines.device_state;
    loop {
        match monitor.query_status().await? {
            VmStatus::FinishMigrate if Instant::now() < until => {}
            status => return Ok(status),
        }
        monitor.migrate_cancel().await?;
        tokio::time::sleep(POLLED_EVERY).await;
    }
}
