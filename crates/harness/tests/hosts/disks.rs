//! Disks of real guests: volumes that outlive them, and file systems that grow while they run.

use contract::machine::ResizeMachineRequest;
use contract::volume::{AttachVolumeRequest, CreateVolumeRequest, GrowVolumeRequest};
use harness::error::HarnessError;
use harness::machine::{Machine, small, snapshot_id};

use super::support::in_place;

#[test]
fn promise_p9_a_volume_is_mounted_grows_travels_in_snapshots_and_outlives_its_machine() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let client = host.client();
        let volume_id: contract::VolumeId = "data".parse().expect("an id");
        let request = CreateVolumeRequest { volume_id: volume_id.clone(), size_bytes: 64 << 20 };
        client.create_volume(&request).await?;
        let mut wanted = small("box", &place.image)?;
        wanted.user_volume_ids = vec![volume_id.clone()];
        let machine = host.launch(wanted).await?;
        machine.exec("echo kept > /volumes/data/note && sync").await?;

        let storage_bytes = Some(2 << 30);
        let resize = ResizeMachineRequest { storage_bytes, ..ResizeMachineRequest::default() };
        let larger = GrowVolumeRequest { size_bytes: 256 << 20 };
        if grows_online() {
            client.resize_machine(&machine.id, &resize).await?;
            client.grow_volume(&volume_id, &larger).await?;
        } else {
            println!(
                "skipped: disks do not grow while their machine runs, without CAP_SYS_RESOURCE"
            );
            client.resize_machine(&machine.id, &resize).await.expect_err("it needs a restart");
            client.stop_machine(&machine.id).await?;
            client.resize_machine(&machine.id, &resize).await?;
            client.grow_volume(&volume_id, &larger).await?;
            client.start_machine(&machine.id, &harness::machine::running()).await?;
        }
        assert!(kib(&machine, "/").await? > 3 << 19, "the root grew");
        assert!(kib(&machine, "/volumes/data").await? > 200 << 10, "so did the volume");

        machine.snapshot("saved").await?;
        let clone = host.restore(&snapshot_id("saved")?, "clone", &place.image).await?;
        assert_eq!(clone.exec("cat /volumes/data/note").await?.trim(), "kept");
        clone.exec("echo changed > /volumes/data/note && sync").await?;
        client.delete_machine(&clone.id).await?;
        assert_eq!(machine.exec("cat /volumes/data/note").await?.trim(), "kept");

        client.delete_machine(&machine.id).await?;
        client.delete_snapshot(&snapshot_id("saved")?).await?;
        let left = client.show_volume(&volume_id).await?;
        assert_eq!((left.attached_machine_id, left.size_bytes), (None, 256 << 20));

        let other = host.launch(small("other", &place.image)?).await?;
        let attach = AttachVolumeRequest { machine_id: other.id.clone(), restart: true };
        client.attach_volume(&volume_id, &attach).await?;
        let ready = harness::machine::running();
        client.start_machine(&other.id, &ready).await?;
        assert_eq!(other.exec("cat /volumes/data/note").await?.trim(), "kept");
        client.delete_machine(&other.id).await?;
        client.delete_volume(&volume_id).await?;
        host.finish().await
    });
}

/// Whether this process, and so a daemon that it starts, may raise the limits of another.
fn grows_online() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE))
}

/// The size of a file system.
async fn kib(machine: &Machine, path: &str) -> Result<u64, HarnessError> {
    let text = machine.exec(&format!("df -k --output=size {path} | tail -n 1")).await?;
    text.trim().parse().map_err(|error| HarnessError::value("df", error))
}
