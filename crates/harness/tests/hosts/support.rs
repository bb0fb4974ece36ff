//! What each of these tests stands on: a place, an image, and hosts that are audited at the end.

use std::time::Duration;

use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::guest_image::GuestImage;
use harness::machine::Machine;
use harness::program::missing;
use harness::storage::Storage;
use harness::wait::until;

/// For a whole test, image building aside.
const TEST: Duration = Duration::from_secs(400);

/// A place for hosts, and what machines are made of.
pub(crate) struct Place {
    pub(crate) storage: Storage,
    pub(crate) image: GuestImage,
}

impl Place {
    pub(crate) async fn host(&self, name: &str) -> Result<Daemon, HarnessError> {
        Daemon::start(self.storage.path()?, name, &self.image.images).await
    }
}

/// Runs a test where real machines can run, and says why not elsewhere.
pub(crate) fn in_place(test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>) {
    in_place_with(GuestImage::minimal, test);
}

/// The same with machines of another image.
pub(crate) fn in_place_with(
    image: impl FnOnce() -> Result<GuestImage, HarnessError>,
    test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>,
) {
    in_storage(Storage::make, image, test);
}

fn in_storage(
    storage: impl FnOnce() -> Result<Storage, HarnessError>,
    image: impl FnOnce() -> Result<GuestImage, HarnessError>,
    test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>,
) {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return;
    }
    let image = image().unwrap_or_else(|error| panic!("{}", error.chain()));
    let place = Place { storage: storage().unwrap(), image };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(async { tokio::time::timeout(TEST, test(&place)).await });
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{}", error.chain()),
        Err(_) => panic!("the test did not end within {TEST:?}"),
    }
}

/// The same in a place that the test may fill to the last block.
pub(crate) fn in_place_apart(test: impl AsyncFnOnce(&Place) -> Result<(), HarnessError>) {
    in_storage(Storage::make_apart, GuestImage::minimal, test);
}

/// Starts something that counts in the guest's memory and nowhere else.
pub(crate) async fn count(machine: &Machine) -> Result<u64, HarnessError> {
    let worker =
        "n=0; while :; do n=$((n+1)); echo $n > /run/n.new; mv /run/n.new /run/n; sleep 0.05; done";
    let start = format!("setsid sh -c '{worker}' > /dev/null 2>&1 < /dev/null &");
    machine.exec(&start).await?;
    beyond(machine, 3).await
}

/// Where the counter stands.
pub(crate) async fn counted(machine: &Machine) -> Result<u64, HarnessError> {
    let text = machine.exec("cat /run/n").await?;
    text.trim().parse().map_err(|error| HarnessError::value("the counter", error))
}

/// Waits until the counter is beyond a value.
pub(crate) async fn beyond(machine: &Machine, value: u64) -> Result<u64, HarnessError> {
    until("a counter that moves on", Duration::from_secs(60), async || {
        counted(machine).await.ok().filter(|counter| *counter > value)
    })
    .await
}
