//! Machines that run before their memory and disks are here.

use std::time::Duration;

use contract::Secret;
use contract::chunked::ChunkedSource;
use contract::lazy::{FillingState, LazyRestore};
use contract::machine::Phase;
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::line::{Conduct, Line, Shape};
use harness::machine::{Machine, running, small, snapshot_id};
use harness::store_server::StoreServer;
use harness::wait::until;

use super::chunked::{source, upload};
use super::support::{Place, beyond, count, counted, in_place};

const FULL: Duration = Duration::from_secs(180);
/// So narrow that files are still being filled when a guest answers.
const NARROW: Shape = Shape { latency: Duration::from_millis(2), bytes_per_second: 2 << 20 };

/// A machine that counts in memory and holds noise in a file, as it lies in the store after its host is gone.
struct Stored {
    chunked: ChunkedSource,
    counted: u64,
    noise: String,
}

async fn stored(place: &Place, host: &Daemon, store: &StoreServer) -> Result<Stored, HarnessError> {
    let mut request = small("box", &place.image)?;
    request.storage_bytes = Some(256 << 20);
    let machine = host.launch(request).await?;
    count(&machine).await?;
    // The guest has it on its disk alone, which is filled last.
    let digest = "dd if=/dev/urandom of=/root/noise bs=1M count=16 2>/dev/null; sync; \
                  sha256sum /root/noise; echo 3 > /proc/sys/vm/drop_caches";
    let noise = machine.exec(digest).await?;
    let counted = counted(&machine).await?;
    let id = snapshot_id("saved")?;
    machine.snapshot(id.as_str()).await?;
    let (form, _) = upload(host, store, &id, &[], &Secret::default()).await?;
    Ok(Stored { chunked: source(store, &id, &form)?, counted, noise })
}

/// Runs a test where files can be filled, and says why not elsewhere.
fn in_place_with_fuse(test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>) {
    match std::fs::metadata("/dev/fuse") {
        Ok(_) => in_place(test),
        Err(error) => println!("skipped: /dev/fuse: {error}"),
    }
}

/// A host on which that machine runs while it is being filled, over a narrow line.
struct Filled {
    host: Daemon,
    machine: Machine,
    line: Line,
    counted: u64,
    noise: String,
    store: StoreServer,
}

async fn filled(place: &Place) -> Result<Filled, HarnessError> {
    let (a, host) = (place.host("a").await?, place.host("b").await?);
    let line = Line::start(NARROW).await?;
    let store = StoreServer::start_behind(&place.storage.path()?.join("store"), &line).await?;
    let Stored { chunked, counted, noise } = stored(place, &a, &store).await?;
    a.finish().await?;
    let (id, lazy) = (snapshot_id("saved")?, LazyRestore::default());
    let machine = host.restore_lazily(&id, chunked, lazy, "lazy", &place.image).await?;
    Ok(Filled { host, machine, line, counted, noise, store })
}

async fn full(host: &Daemon, machine: &Machine) -> Result<(), HarnessError> {
    until("the files are full", FULL, async || {
        let filling = host.client().show_filling(&machine.id).await.ok()?;
        (filling.state == FillingState::Full).then_some(())
    })
    .await
}

/// The supervisor of the one filling of a host, and its server.
fn processes(host: &Daemon) -> Option<(i32, i32)> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let mut pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let supervisor: i32 = pids.find(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("lazy-supervisor") && line.contains(host.root().as_str())
    })?;
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let children = std::fs::read_to_string(children).ok()?;
    let server = children.split_whitespace().next()?.parse().ok()?;
    Some((supervisor, server))
}

fn kill_9(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
}

#[test]
fn promise_p5_p6_a_machine_is_filled_while_it_runs_and_is_an_ordinary_machine_after() {
    in_place_with_fuse(async |place| {
        let (a, b) = (place.host("a").await?, place.host("b").await?);
        let store = StoreServer::start(&place.storage.path()?.join("store")).await?;
        let stored = stored(place, &a, &store).await?;
        a.finish().await?;
        let id = snapshot_id("saved")?;
        let lazy = LazyRestore::default();
        let restored = b.restore_lazily(&id, stored.chunked, lazy, "lazy", &place.image).await?;
        let now = counted(&restored).await?;
        assert!(now >= stored.counted, "{now} after {}", stored.counted);
        assert_eq!(restored.exec("sha256sum /root/noise").await?, stored.noise);

        full(&b, &restored).await?;
        beyond(&restored, now).await?;
        restored.exec("echo kept > /root/kept && sync").await?;
        restored.snapshot("again").await?;
        let again = b.restore(&snapshot_id("again")?, "again", &place.image).await?;
        assert_eq!(
            again.exec("cat /root/kept; sha256sum /root/noise").await?,
            format!("kept\n{}", stored.noise)
        );
        beyond(&again, now).await?;

        // Started anew it needs nobody who fills: plain local files.
        b.client().stop_machine(&restored.id).await?;
        b.client().start_machine(&restored.id, &running()).await?;
        assert_eq!(
            restored.exec("cat /root/kept; sha256sum /root/noise").await?,
            format!("kept\n{}", stored.noise)
        );
        b.finish().await
    });
}

#[test]
fn promise_p5_kill_9_of_server_daemon_and_supervisor_costs_a_guest_nothing_while_it_is_filled() {
    in_place_with_fuse(async |place| {
        let filled = filled(place).await?;
        let Filled { host: mut b, machine: restored, noise, line: _line, store: _store, .. } =
            filled;
        let filling = b.client().show_filling(&restored.id).await?;
        assert_eq!(filling.state, FillingState::Filling, "{filling:?}");
        assert!(!filling.touched.is_empty());

        let (supervisor, server) = processes(&b).expect("a supervisor with its server");
        kill_9(server);
        let next = until("another server", FULL, async || {
            processes(&b).filter(|(_, next)| *next != server)
        });
        next.await?;
        let now = counted(&restored).await?;
        assert!(now >= filled.counted, "{now} after {}", filled.counted);
        b.kill().await?;
        b.restart().await?;
        let now = beyond(&restored, now).await?;
        let filling = b.client().show_filling(&restored.id).await?;
        assert_eq!(filling.state, FillingState::Filling, "{filling:?}");
        kill_9(supervisor);
        beyond(&restored, now).await?;
        // Taken before all is there, it waits for the rest, and holds it.
        restored.snapshot("again").await?;
        assert_eq!(restored.exec("sha256sum /root/noise").await?, noise);
        let again = b.restore(&snapshot_id("again")?, "again", &place.image).await?;
        assert_eq!(again.exec("sha256sum /root/noise").await?, noise);
        beyond(&again, now).await?;
        b.finish().await
    });
}

#[test]
fn promise_p6_p12_a_store_that_lies_about_what_a_guest_waits_for_fails_the_machine_and_says_why() {
    in_place_with_fuse(async |place| {
        let filled = filled(place).await?;
        let Filled { host: b, machine: restored, noise, line, store: _store, .. } = filled;
        line.behave(Conduct::Flips);
        // Whatever the guest reads now is what was stored, or it is ended.
        if let Ok(read) = restored.exec("sha256sum /root/noise").await {
            assert_eq!(read, noise);
        }
        let failed = until("the machine fails", FULL, async || {
            let machine = b.client().show_machine(&restored.id).await.ok()?;
            (machine.phase == Phase::Failed).then_some(machine.error)
        });
        let reason = failed.await?.unwrap_or_default();
        assert!(reason.contains("its files could not be fetched: verify and keep"), "{reason}");
        b.finish().await
    });
}
