//! A disk that is full in the middle of a snapshot.

use contract::ErrorCode;
use contract::client::ClientError;
use harness::error::HarnessError;
use harness::filling::Filling;
use harness::machine::{small, snapshot_id};

use super::support::{beyond, count, in_place_apart};

#[test]
fn promise_p3_p13_a_disk_that_is_full_within_the_pause_of_a_snapshot_loses_nothing() {
    in_place_apart(async |place| {
        let mut host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let value = count(&machine).await?;
        host.quiet().await?;
        host.stop().await?;
        let filling = Filling {
            kind: "create_snapshot".to_owned(),
            step: "capture".to_owned(),
            file: place.storage.path()?.join("filler"),
        };
        host.restart_filling(&filling).await?;
        let taken = machine.through(&host).snapshot("saved").await;
        let error = taken.expect_err("there was no room");
        assert!(is_no_room(&error), "{}", error.chain());
        let value = beyond(&machine, value).await?;
        let snapshots = host.client().list_snapshots().await?;
        assert!(snapshots.is_empty(), "promise P2: {snapshots:?}");

        host.stop().await?;
        host.restart().await?;
        machine.through(&host).snapshot("saved").await?;
        host.client().delete_snapshot(&snapshot_id("saved")?).await?;
        beyond(&machine, value).await?;
        host.finish().await
    });
}

fn is_no_room(error: &HarnessError) -> bool {
    matches!(error, HarnessError::Daemon(ClientError::Refused(refusal)) if refusal.code == ErrorCode::NoRoom)
}
