//! `GET /machines/{id}` while guests are busy: 50 machines, and sessions that stream their output through the daemon all the time.
//!
//! Memory ends long before 50 guests on the machines that this runs on, so [`GUESTS`] of them are real and carry the sessions of
//! all, as many as agents keep; the others are records, which a GET reads alike.

use std::time::{Duration, Instant};

use contract::client::ExecReceived;
use contract::exec_stream::{ExecEvent, ExecStart};
use tokio::task::JoinSet;

use super::figure::Figure;
use super::records::{fill, record_name};
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::{Machine, machine_id};

const MACHINES: u32 = 50;
const GUESTS: u32 = 2;
/// Of one guest, beside those that it may need itself: agents keep 64.
const SESSIONS: u32 = 50;
const REQUESTS: u32 = 4000;
/// From the first session to the last that runs.
const BEGIN: Duration = Duration::from_secs(180);
/// What a session does: a line, a little work, and a pause of a second.
const WORK: &str = "while :; do echo a line of output; sleep 1; done";

/// The 99th percentile, a connection to each request.
pub(super) async fn get_p99(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let mut daemon = scene.daemon(name).await?;
    let pattern = scene.machine(&daemon, "pattern", MEMORY_MIB).await?;
    daemon.client().stop_machine(&pattern.id).await?;
    daemon.quiet().await?;
    daemon.stop().await?;
    fill(&daemon, MACHINES - GUESTS).await?;
    daemon.restart().await?;
    let mut sessions = JoinSet::new();
    let mut names: Vec<String> = (0..MACHINES - GUESTS).map(record_name).collect();
    for guest in 0..GUESTS {
        let machine = scene.machine(&daemon, &format!("guest-{guest}"), MEMORY_MIB).await?;
        begin(&daemon, &machine, &mut sessions).await?;
        names.push(machine.id.to_string());
    }
    let client = daemon.client();
    let mut sample = Sample::default();
    for name in names.iter().cycle().take(REQUESTS as usize) {
        let id = machine_id(name)?;
        let began = Instant::now();
        client.show_machine(&id).await?;
        sample.add_time(began.elapsed());
    }
    if sessions.len() < (GUESTS * SESSIONS) as usize || sessions.try_join_next().is_some() {
        return Err(HarnessError::value(name, "a session ended before the end"));
    }
    sessions.shutdown().await;
    for guest in 0..GUESTS {
        client.delete_machine(&machine_id(&format!("guest-{guest}"))?).await?;
    }
    daemon.stop().await?;
    Ok(Figure { name, value: sample.percentile(99), unit: "ms", bare: None })
}

/// Starts the sessions of one guest; each is read by a task of its own until the set is shut down.
async fn begin(
    daemon: &Daemon,
    machine: &Machine,
    sessions: &mut JoinSet<Result<(), HarnessError>>,
) -> Result<(), HarnessError> {
    let all = async {
        for _ in 0..SESSIONS {
            let start = ExecStart {
                command: ["sh", "-c", WORK].map(String::from).to_vec(),
                cwd: Some("/".into()),
                user: Some("root".into()),
                ..ExecStart::default()
            };
            let connection = daemon.client().exec_stream(&machine.id, &start).await?;
            let (sender, mut receiver) = (connection.sender, connection.receiver);
            // It runs once its first line is here.
            while !matches!(receiver.next().await?, Some(ExecReceived::Output(_)) | None) {}
            sessions.spawn(async move {
                let _sender = sender;
                loop {
                    match receiver.next().await? {
                        Some(ExecReceived::Event(ExecEvent::Exited { .. })) | None => return Ok(()),
                        Some(ExecReceived::Event(_) | ExecReceived::Output(_)) => {}
                    }
                }
            });
        }
        Ok(())
    };
    tokio::time::timeout(BEGIN, all)
        .await
        .map_err(|_elapsed| HarnessError::Deadline { what: "sessions".into(), deadline: BEGIN })?
}
