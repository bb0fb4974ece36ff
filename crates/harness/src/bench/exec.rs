//! Commands in guests.

use std::time::{Duration, Instant};

use guest::client::Command;

use super::bare::BareHost;
use super::figure::Figure;
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::error::HarnessError;

const RUNS: usize = 100;
/// For one command.
const DEADLINE: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 1 << 20;

/// `POST /machines/{id}/exec` of `true`, over a connection of its own each, beside the agent of a bare machine that is asked
/// for the same on the channel itself.
pub(super) async fn exec_true(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let bare_host = BareHost::prepare(scene)?;
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", MEMORY_MIB).await?;
    let (guest, _took) = bare_host.boot(MEMORY_MIB).await?;
    let agent = guest.agent();
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let began = Instant::now();
        machine.run(&["true"]).await?;
        ours.add_time(began.elapsed());
        let command = Command::new(["true"]).user("root").cwd("/");
        let began = Instant::now();
        let ran = agent.run(&format!("run-{run}"), command, DEADLINE, MOST_BYTES).await;
        ran.map_err(|error| HarnessError::value("the agent of a bare machine", error))?;
        bare.add_time(began.elapsed());
    }
    drop(agent);
    guest.end().await?;
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(bare.median()) })
}
