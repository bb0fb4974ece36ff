//! Upload to an object store and restore on another host; and what a hostile store gets.

use contract::ErrorCode;
use contract::artifact::{ArtifactId, SnapshotArtifact};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::small;
use harness::store_server::StoreServer;

use super::support::{Place, beyond, count, counted, in_place};

const PART_BYTES: u64 = 8 << 20;

/// A machine that counts, its snapshot, and the snapshot in the store; what a restore is told, and the counter.
async fn uploaded(
    place: &Place,
    host: &Daemon,
    store: &StoreServer,
) -> Result<(Vec<SnapshotArtifact>, u64), HarnessError> {
    let client = host.client();
    let mut request = small("box", &place.image)?;
    request.storage_bytes = Some(256 << 20);
    let machine = host.launch(request).await?;
    let value = count(&machine).await?;
    let id = machine.snapshot("saved").await?.snapshot.id;
    host.quiet().await?;
    let artifacts = client.show_snapshot(&id).await?.artifacts;
    assert!(artifacts.iter().all(|artifact| artifact.sha256_hex.is_some()), "all sums are known");
    let request = store.sign_upload(&id, &artifacts, PART_BYTES).await?;
    let first = client.upload_snapshot(&id, &request).await?;
    let again = client.upload_snapshot(&id, &request).await?;
    assert_eq!(first, again, "promise P12: what was sent is answered again, not sent again");
    store.complete(&request, &first).await?;
    Ok((store.sign_download(&id, &artifacts)?, value))
}

#[test]
fn promise_p7_p12_a_snapshot_goes_through_an_object_store_and_runs_on_another_host() {
    in_place(async |place| {
        let (a, b) = (place.host("a").await?, place.host("b").await?);
        let store = StoreServer::start(&place.storage.path()?.join("store")).await?;
        let (signed, value) = uploaded(place, &a, &store).await?;
        let id = harness::machine::snapshot_id("saved")?;
        let restored = b.restore_durable(&id, signed, "far-away", &place.image).await?;
        let now = counted(&restored).await?;
        assert!(now >= value, "{now} after {value}");
        beyond(&restored, now).await?;
        restored.snapshot("again").await?;
        a.finish().await?;
        b.finish().await
    });
}

#[test]
fn promise_p6_tampered_and_truncated_artifacts_never_run() {
    in_place(async |place| {
        let (a, b) = (place.host("a").await?, place.host("b").await?);
        let store = StoreServer::start(&place.storage.path()?.join("store")).await?;
        let (signed, _) = uploaded(place, &a, &store).await?;
        let id = harness::machine::snapshot_id("saved")?;
        for artifact in [ArtifactId::VmState, ArtifactId::DiskSystem, ArtifactId::Manifest] {
            let good = store.read(&id, artifact).await?;
            // Within the data of each: the superblock of the disk. Bytes of holes are not even asked for.
            let mut flipped = good.clone();
            flipped[1080.min(good.len() / 2)] ^= 1;
            let truncated = good[..good.len() / 1000].to_vec();
            for bad in [flipped, truncated] {
                store.replace(&id, artifact, bad).await?;
                refused(place, &b, &signed, &format!("a changed {artifact}")).await?;
            }
            store.replace(&id, artifact, good).await?;
        }
        let mut unsigned = signed.clone();
        unsigned.retain(|artifact| artifact.id != ArtifactId::Manifest);
        let error = b.restore_durable(&id, unsigned, "clone", &place.image).await.unwrap_err();
        assert!(code(&error) == Some(ErrorCode::Unverifiable), "{}", error.chain());
        b.restore_durable(&id, signed, "clone", &place.image).await?;
        a.finish().await?;
        b.finish().await
    });
}

async fn refused(
    place: &Place,
    host: &Daemon,
    signed: &[SnapshotArtifact],
    what: &str,
) -> Result<(), HarnessError> {
    let id = harness::machine::snapshot_id("saved")?;
    let outcome = host.restore_durable(&id, signed.to_vec(), "clone", &place.image).await;
    let error = outcome.expect_err(what);
    assert!(code(&error).is_some(), "{what}: {}", error.chain());
    assert_eq!(host.client().list_machines().await?, [], "{what}: promise P2");
    Ok(())
}

fn code(error: &HarnessError) -> Option<ErrorCode> {
    match error {
        HarnessError::Daemon(error) => error.code(),
        _ => None,
    }
}
