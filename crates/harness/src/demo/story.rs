//! The story: one computer's work, kept in an object store, and going on in two more.

use super::machines::{self, Described};
use super::outcome::Outcome;
use super::stage::{DISK, IMAGE, Stage};
use super::work;
use crate::error::HarnessError;

const SOURCE: &str = "box";
const CLONES: [&str; 2] = ["box-1", "box-2"];
const SNAPSHOT: &str = "box.working";

/// Tells it from the first computer to the last.
pub(super) async fn tell(stage: &Stage) -> Result<Outcome, HarnessError> {
    let mut outcome = Outcome::default();
    let before = begin(stage, &mut outcome).await?;
    keep(stage, &before, &mut outcome).await?;
    let clones = restore(stage, &mut outcome).await?;
    check(stage, &before, &clones, &mut outcome).await?;
    clear_up(stage).await?;
    Ok(outcome)
}

/// Creates the computer and lets it work.
async fn begin(stage: &Stage, outcome: &mut Outcome) -> Result<Described, HarnessError> {
    let prompt = &stage.a.prompt;
    println!("Host a: a computer.");
    let size = ["--vcpus", "1", "--memory", "256M", "--disk", DISK];
    let created = prompt.run(&[&["create", SOURCE, "--image", IMAGE], &size[..]].concat()).await?;
    outcome.create_ms = created.took_ms;
    println!("  its agent answers after {} ms\n", created.took_ms);

    println!(
        "It works: a counter that lives only in its memory, and a file on its disk that grows with it."
    );
    work::start(prompt, SOURCE).await?;
    let first = machines::working(prompt, SOURCE).await?;
    println!("  counter {}, file {}\n", first.counter, first.diary);
    Ok(first)
}

/// Takes a snapshot while it works, and sends it away.
async fn keep(
    stage: &Stage,
    before: &Described,
    outcome: &mut Outcome,
) -> Result<(), HarnessError> {
    let prompt = &stage.a.prompt;
    println!("A snapshot while it works, sent to the object store; the computer works on.");
    let taken = prompt.run(&["snapshot", "create", SOURCE, "--snapshot-id", SNAPSHOT]).await?;
    outcome.snapshot_ms = taken.took_ms;
    outcome.snapshot_pause_ms = taken.number("/snapshot/pause_ms")?;
    outcome.snapshot_frozen_ms = taken.number("/snapshot/frozen_ms")?;
    println!(
        "  durable after {} ms; the computer stood still for {} ms, its processes for {} ms",
        outcome.snapshot_ms, outcome.snapshot_pause_ms, outcome.snapshot_frozen_ms
    );
    let bucket = stage.store.bucket_url();
    let sent = prompt.run(&["snapshot", "upload", SNAPSHOT, "--bucket", &bucket]).await?;
    outcome.upload_ms = sent.took_ms;
    let mib = sent.number("/size_bytes")? >> 20;
    let now = machines::moved_on(prompt, before).await?;
    println!("  {mib} MiB sent after {} ms", sent.took_ms);
    println!("  meanwhile on host a: counter {}, file {}\n", now.counter, now.diary);
    Ok(())
}

/// Restores two computers on the other host at once, from the object store alone.
async fn restore(stage: &Stage, outcome: &mut Outcome) -> Result<[Described; 2], HarnessError> {
    println!(
        "Host b, which has never seen it: two computers at once, from the object store alone."
    );
    let (prompt, bucket) = (&stage.b.prompt, stage.store.bucket_url());
    let one = async |name: &'static str| {
        let arguments = ["snapshot", "restore", "--snapshot-id", SNAPSHOT, "--machine-id", name];
        let restored =
            prompt.run(&[&arguments, &["--bucket", bucket.as_str()][..]].concat()).await?;
        Ok::<_, HarnessError>((restored.took_ms, machines::describe(prompt, name).await?))
    };
    let (first, second) = tokio::try_join!(one(CLONES[0]), one(CLONES[1]))?;
    outcome.restore_ms = vec![first.0, second.0];
    outcome.restored = vec![first.1.counter, second.1.counter];
    println!("  ready after {} ms and {} ms\n", first.0, second.0);
    Ok([first.1, second.1])
}

/// Checks that all three go on, and that none is another's twin.
async fn check(
    stage: &Stage,
    before: &Described,
    clones: &[Described; 2],
    outcome: &mut Outcome,
) -> Result<(), HarnessError> {
    println!("All three go on from the snapshot.");
    let (counter, diary) = at_snapshot(clones)?;
    outcome.at_snapshot = counter;
    println!(
        "  at the snapshot, as both clones found it before they went on: counter {counter}, file {diary}"
    );
    for clone in clones {
        if clone.counter < counter || clone.diary < diary || counter < before.counter {
            let reason = format!("{clone:?}, and the source before the snapshot: {before:?}");
            return Err(HarnessError::value(format!("the work of {}", clone.name), reason));
        }
    }
    let (a, b) = (&stage.a.prompt, &stage.b.prompt);
    let source = machines::describe(a, SOURCE).await?;
    let later = [
        machines::moved_on(a, &source).await?,
        machines::moved_on(b, &clones[0]).await?,
        machines::moved_on(b, &clones[1]).await?,
    ];
    println!(
        "  in each, counter and file hold every number from 1 to the last, none missing and none twice\n"
    );
    machines::compare(&[&later[0], &later[1], &later[2]])?;
    println!();
    Ok(())
}

/// What both clones found, which must be the same.
fn at_snapshot(clones: &[Described; 2]) -> Result<(u64, u64), HarnessError> {
    match (clones[0].at_snapshot, clones[1].at_snapshot) {
        (Some(one), Some(other)) if one == other => Ok(one),
        found => Err(HarnessError::value("the instant of the snapshot", format!("{found:?}"))),
    }
}

/// Deletes everything, as a person would.
async fn clear_up(stage: &Stage) -> Result<(), HarnessError> {
    println!("Everything is deleted, and both daemons stop.");
    stage.a.prompt.run(&["delete", SOURCE]).await?;
    stage.a.prompt.run(&["snapshot", "delete", SNAPSHOT]).await?;
    stage.b.prompt.run(&[&["delete"], &CLONES[..]].concat()).await?;
    Ok(())
}
