//! A bucket of a real object store, and a WebDAV server, as directories of a guest.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use contract::Secret;
use contract::client::Client;
use contract::endpoint::table::{CreateMount, DeleteMount, ListMounts};
use contract::id::MachineId;
use contract::mount::{CreateMountRequest, Mount, MountConfig, MountKind, MountStatus};
use harness::daemon::Daemon;
use harness::error::HarnessError;
use harness::guest_image::GuestImage;
use harness::machine::{Machine, running, small};
use harness::store_server::StoreServer;
use harness::wait::until;

use super::support::in_place;

/// A guest that is emulated, and a Go program in it.
const MOUNTED: Duration = Duration::from_secs(120);

#[test]
fn a_bucket_is_mounted_and_again_after_a_restart_and_a_restore_and_its_secret_is_nowhere() {
    in_place(async |place| {
        let Some(address) = own_address() else {
            println!("skipped: this host has no address that guests could reach");
            return Ok(());
        };
        let image = tokio::task::spawn_blocking(GuestImage::full)
            .await
            .map_err(|error| HarnessError::value("the image", error))??;
        let dir = place.storage.path()?.join("store");
        let store = StoreServer::start_at(&dir, address).await?;
        std::fs::write(dir.join("snapshots/hello"), "from the store")
            .map_err(HarnessError::io("write an object"))?;
        let allowed = format!("network.allowed=[\"{}\"]", store.address());
        let host =
            Daemon::start_with(place.storage.path()?, "a", &image.images, &[&allowed]).await?;
        let mut request = small("box", &image)?;
        request.memory_mib = Some(512);
        request.storage_bytes = Some(2 << 30);
        let machine = host.launch(request).await?;
        let mounts = Mounts { client: host.client(), machine: machine.id.clone() };

        let secret = store.environment()[3].1.clone();
        let made = mounts.create("data", &store, &secret).await?;
        assert!(made.config.secret_access_key.is_empty());
        mounts.comes_to("data", MountStatus::Mounted).await?;
        assert_eq!(machine.exec("cat /mnt/data/hello").await?, "from the store");
        machine.exec("echo back > /mnt/data/there").await?;
        until("the object in the store", MOUNTED, async || {
            std::fs::read_to_string(dir.join("snapshots/there"))
                .ok()
                .filter(|text| text == "back\n")
        })
        .await?;
        // P11: on no command line, in no answer, and on the guest's disk neither.
        let seen = machine.exec("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'").await?;
        assert!(seen.contains("rclone") && !seen.contains(&secret), "{seen}");

        let wrong = mounts.create("wrong", &store, "another secret").await;
        assert!(wrong.is_err(), "the same target");
        mounts.client.stop_machine(&machine.id).await?;
        mounts.comes_to("data", MountStatus::Pending).await?;
        mounts.client.start_machine(&machine.id, &running()).await?;
        mounts.comes_to("data", MountStatus::Mounted).await?;
        assert_eq!(machine.exec("cat /mnt/data/hello").await?, "from the store");

        a_webdav_server_is_mounted(&machine, &mounts).await?;
        a_clone_mounts_it_itself(&host, &machine, &image, &mounts).await?;

        mounts.delete("data").await?;
        assert!(mounts.list().await?.is_empty());
        let left = machine.exec("grep rclone /proc/mounts; ls /run/computer/mounts; true").await?;
        assert_eq!(left.trim(), "");
        let refused = mounts.create("wrong", &store, "another secret").await?;
        let failed = mounts.comes_to(refused.id.as_str(), MountStatus::Failed).await?;
        assert!(!failed.status_message.is_empty());
        mounts.client.delete_machine(&machine.id).await?;
        host.finish().await
    });
}

/// One in the guest itself, which is as good as any.
async fn a_webdav_server_is_mounted(
    machine: &Machine,
    mounts: &Mounts,
) -> Result<(), HarnessError> {
    let serve = "mkdir -p /srv/dav; printf 'by WebDAV' > /srv/dav/hello; \
        setsid rclone serve webdav /srv/dav --addr 127.0.0.1:8099 --user me --pass 'a password' \
        > /run/dav.log 2>&1 < /dev/null &";
    machine.exec(serve).await?;
    until("the WebDAV server", MOUNTED, async || {
        machine.exec("bash -c 'exec 3<>/dev/tcp/127.0.0.1/8099'").await.ok()
    })
    .await?;
    let request = CreateMountRequest {
        mount_id: "dav".parse().map_err(|error| HarnessError::value("dav", error))?,
        kind: MountKind::Webdav,
        target_path: "/mnt/dav".into(),
        read_only: true,
        config: MountConfig {
            endpoint: "http://127.0.0.1:8099".into(),
            access_key_id: "me".into(),
            secret_access_key: Secret::new("a password"),
            ..MountConfig::default()
        },
    };
    mounts.send(&request).await?;
    mounts.comes_to("dav", MountStatus::Mounted).await?;
    assert_eq!(machine.exec("cat /mnt/dav/hello").await?, "by WebDAV");
    let refused = machine.exec("echo x > /mnt/dav/new || echo refused").await?;
    assert_eq!(refused, "refused\n", "it is there to be read only");
    mounts.delete("dav").await
}

/// What the source had mounted is a process of the clone's own, and both see what the other writes.
async fn a_clone_mounts_it_itself(
    host: &Daemon,
    machine: &Machine,
    image: &GuestImage,
    mounts: &Mounts,
) -> Result<(), HarnessError> {
    let snapshot = machine.snapshot("mounted").await?.snapshot.id;
    let clone = host.restore(&snapshot, "box-2", image).await?;
    let its = Mounts { client: host.client(), machine: clone.id.clone() };
    its.comes_to("data", MountStatus::Mounted).await?;
    assert_eq!(clone.exec("cat /mnt/data/hello").await?, "from the store");
    clone.exec("echo clone > /mnt/data/from-the-clone").await?;
    until("what the clone wrote, in the source", MOUNTED, async || {
        machine.exec("cat /mnt/data/from-the-clone").await.ok().filter(|text| text == "clone\n")
    })
    .await?;
    its.delete("data").await?;
    assert!(its.list().await?.is_empty());
    mounts.comes_to("data", MountStatus::Mounted).await?;
    its.client.delete_machine(&clone.id).await?;
    Ok(())
}

/// The address by which this host reaches others; no packet is sent.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

struct Mounts {
    client: Client,
    machine: MachineId,
}

impl Mounts {
    async fn create(
        &self,
        name: &str,
        store: &StoreServer,
        secret: &str,
    ) -> Result<Mount, HarnessError> {
        let request = CreateMountRequest {
            mount_id: name.parse().map_err(|error| HarnessError::value(name, error))?,
            kind: MountKind::S3,
            target_path: "/mnt/data".into(),
            read_only: false,
            config: MountConfig {
                bucket: "snapshots".into(),
                endpoint: format!("http://{}", store.address()),
                region: "us-east-1".into(),
                access_key_id: store.environment()[2].1.clone(),
                secret_access_key: Secret::new(secret),
                vfs_cache_mode: "writes".into(),
                extra_flags: vec!["--vfs-write-back=1s".into(), "--dir-cache-time=1s".into()],
            },
        };
        self.send(&request).await
    }

    async fn send(&self, request: &CreateMountRequest) -> Result<Mount, HarnessError> {
        let call = self.client.call(CreateMount, &self.machine).body(request);
        Ok(call.send().await?.value.mount)
    }

    async fn list(&self) -> Result<Vec<Mount>, HarnessError> {
        Ok(self.client.call(ListMounts, &self.machine).send().await?.value.mounts)
    }

    async fn delete(&self, name: &str) -> Result<(), HarnessError> {
        let id = name.parse().map_err(|error| HarnessError::value(name, error))?;
        self.client.call(DeleteMount, &(self.machine.clone(), id)).send().await?;
        Ok(())
    }

    async fn comes_to(&self, name: &str, status: MountStatus) -> Result<Mount, HarnessError> {
        let what = format!("a mount that is {status:?}");
        until(&what, MOUNTED, async || {
            let mounts = self.list().await.ok()?;
            let mount = mounts.into_iter().find(|mount| mount.id.as_str() == name)?;
            if mount.status == MountStatus::Failed && status != MountStatus::Failed {
                println!("failed: {}", mount.status_message);
            }
            (mount.status == status).then_some(mount)
        })
        .await
    }
}
