//! Chunked forms with real guests: a second upload sends little, a parent may go, and another host restores exactly.

use contract::chunked::{
    ChunkSnapshotRequest, ChunkedForm, ChunkedSource, PackDownload, PackUpload,
    UploadChunkedRequest,
};
use contract::{PackId, Secret, SnapshotId};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::machine::{small, snapshot_id};
use harness::store_server::StoreServer;

use super::support::{beyond, count, counted, in_place};

/// 32 bytes in base64: what is sent and stored is sealed.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Sends what the store does not have of a snapshot, and answers its form and the bytes sent.
pub(super) async fn upload(
    host: &Daemon,
    store: &StoreServer,
    id: &SnapshotId,
    have: &[PackId],
    key: &Secret,
) -> Result<(ChunkedForm, u64), HarnessError> {
    let request = ChunkSnapshotRequest { have: have.to_vec(), key: key.clone() };
    let form = host.client().chunk_snapshot(id, &request).await?;
    let missing = form.packs.iter().filter(|pack| pack.missing);
    let packs = missing.map(|pack| {
        let upload_url = store.sign_put(&format!("packs/{}", pack.pack_id))?;
        Ok(PackUpload { pack_id: pack.pack_id.clone(), upload_url })
    });
    let request = UploadChunkedRequest {
        packs: packs.collect::<Result<_, HarnessError>>()?,
        manifest_url: Some(store.sign_put(&format!("{id}/chunked.json"))?),
    };
    let sent = host.client().upload_chunked(id, &request).await?;
    Ok((form, sent.sent_bytes))
}

/// What a restore is told of a form that was sent, without its key.
pub(super) fn source(
    store: &StoreServer,
    id: &SnapshotId,
    form: &ChunkedForm,
) -> Result<ChunkedSource, HarnessError> {
    let packs = form.packs.iter().map(|pack| {
        let download_url = store.sign_get(&format!("packs/{}", pack.pack_id))?;
        Ok(PackDownload { pack_id: pack.pack_id.clone(), download_url })
    });
    Ok(ChunkedSource {
        manifest_url: store.sign_get(&format!("{id}/chunked.json"))?,
        manifest_sha256_hex: form.manifest.sha256_hex.clone(),
        packs: packs.collect::<Result<_, HarnessError>>()?,
        key: Secret::default(),
    })
}

fn sealed(
    store: &StoreServer,
    id: &SnapshotId,
    form: &ChunkedForm,
) -> Result<ChunkedSource, HarnessError> {
    Ok(ChunkedSource { key: Secret::new(KEY), ..source(store, id, form)? })
}

#[test]
fn promise_p5_p7_p9_a_second_chunked_upload_is_small_and_restores_elsewhere_without_its_parent() {
    in_place(async |place| {
        let (a, b) = (place.host("a").await?, place.host("b").await?);
        let store = StoreServer::start(&place.storage.path()?.join("store")).await?;
        let mut request = small("box", &place.image)?;
        request.storage_bytes = Some(256 << 20);
        let machine = a.launch(request).await?;
        count(&machine).await?;
        let digest = "dd if=/dev/urandom of=/root/noise bs=1M count=8 2>/dev/null; sync; \
                      sha256sum /root/noise";
        let noise = machine.exec(digest).await?;
        let (first, second) = (snapshot_id("first")?, snapshot_id("second")?);
        machine.snapshot(first.as_str()).await?;
        let (form, sent) = upload(&a, &store, &first, &[], &Secret::new(KEY)).await?;
        assert!(form.key_name.is_some());
        let value = counted(&machine).await?;
        machine.snapshot(second.as_str()).await?;
        let have: Vec<PackId> = form.packs.iter().map(|pack| pack.pack_id.clone()).collect();
        let (form, sent_again) = upload(&a, &store, &second, &have, &Secret::new(KEY)).await?;
        println!("the first upload sent {sent} bytes, the second {sent_again}");
        assert!(sent_again * 3 < sent, "{sent_again} after {sent}");
        // Asked again, with all that is there, nothing is missing.
        let have = form.packs.iter().map(|pack| pack.pack_id.clone()).collect();
        let request = ChunkSnapshotRequest { have, key: Secret::new(KEY) };
        let again = a.client().chunk_snapshot(&second, &request).await?;
        assert!(again.packs.iter().all(|pack| !pack.missing));

        a.quiet().await?;
        a.client().delete_snapshot(&first).await?;
        assert_eq!(a.client().collect_chunks().await?.removed_sets, 0, "the child needs it");
        let check = a.client().check_chunks().await?;
        assert_eq!(check.problems, [""; 0]);

        let restored =
            b.restore_chunked(&second, sealed(&store, &second, &form)?, "clone", &place.image);
        let restored = restored.await?;
        let now = counted(&restored).await?;
        assert!(now >= value, "{now} after {value}");
        beyond(&restored, now).await?;
        assert_eq!(restored.exec("sha256sum /root/noise").await?, noise);
        let mut wrong = sealed(&store, &second, &form)?;
        wrong.key = Secret::new(KEY.replace("AQEB", "AgEB"));
        b.restore_chunked(&second, wrong, "twin", &place.image).await.expect_err("another key");

        a.quiet().await?;
        a.client().delete_snapshot(&second).await?;
        a.finish().await?;
        b.finish().await
    });
}
