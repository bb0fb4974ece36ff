//! What must hold after every trial, whatever went wrong in it.

use crate::fake::FakeDaemon;

use super::case::{Case, Pictures, picture, run};
use super::intent::Intent;

/// Checks all or none (P2), that nothing is open (P4), that nobody is paused or frozen (P3), and that the same can be done
/// again at once (P2, P9). The first thing that is broken, in words.
pub async fn judge(case: &Case, daemon: &FakeDaemon, pictures: &Pictures) -> Result<(), String> {
    nobody_waits(daemon)?;
    no_defects(daemon)?;
    let now = picture(daemon);
    if pictures.cut.as_ref() == Some(&now)
        && let Some(machine) = case.restarts
    {
        let started = run(daemon, &Intent::Start(machine)).await;
        started.map_err(|error| format!("P2: a restart that was cut starts no more: {error:?}"))?;
        return again(case, daemon, pictures, false).await;
    }
    let is_done = now == pictures.after;
    if !is_done && now != pictures.before {
        let mut words = String::from("P2: neither all nor none.");
        for (name, other) in [("before", &pictures.before), ("after", &pictures.after)] {
            let more: Vec<&str> = now.beyond(other).collect();
            let less: Vec<&str> = other.beyond(&now).collect();
            words.push_str(&format!("\n  against {name}: more {more:#?}, less {less:#?}"));
        }
        return Err(words);
    }
    again(case, daemon, pictures, is_done).await?;
    no_defects(daemon)
}

/// P3, and P4: no operation is left open.
fn nobody_waits(daemon: &FakeDaemon) -> Result<(), String> {
    let state = daemon.world().lock();
    if let Some(operation) = state.rows.open().next() {
        return Err(format!("P4: operation {} is open", operation.plan.kind.as_str()));
    }
    match state.processes.values().find(|process| !process.works()) {
        Some(process) => Err(format!(
            "P3: {} is paused {} frozen {}",
            process.spec.launch.machine, process.is_paused, process.guest.is_frozen
        )),
        None => Ok(()),
    }
}

fn no_defects(daemon: &FakeDaemon) -> Result<(), String> {
    let state = daemon.world().lock();
    state.defects.first().map_or(Ok(()), |defect| Err(defect.clone()))
}

async fn again(
    case: &Case,
    daemon: &FakeDaemon,
    pictures: &Pictures,
    is_done: bool,
) -> Result<(), String> {
    if is_done {
        let Some(inverse) = case.act.inverse() else { return Ok(()) };
        run(daemon, &inverse)
            .await
            .map_err(|error| format!("P9: {inverse:?} after it: {error:?}"))?;
    }
    if matches!(case.act, Intent::Retire(_)) {
        return Err("P4: a machine whose VMM has ended is still recorded as running".into());
    }
    run(daemon, &case.act).await.map_err(|error| format!("P2: not again at once: {error:?}"))?;
    let now = picture(daemon);
    if now == pictures.after {
        return Ok(());
    }
    let (more, less): (Vec<&str>, Vec<&str>) =
        (now.beyond(&pictures.after).collect(), pictures.after.beyond(&now).collect());
    Err(format!("P2: done again it is not the same: more {more:#?}, less {less:#?}"))
}
