//! Mounted stores, as far as a machine without rclone and FUSE shows it.

use std::path::Path;

use guest::proto::mounts::MountRequest;
use tonic::Code;

use crate::support::*;

fn request() -> MountRequest {
    MountRequest { id: "data".into(), target_path: "/mnt/data".into(), ..MountRequest::default() }
}

#[tokio::test]
async fn what_could_harm_is_refused_before_anything_is_started() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let wrong = [
        MountRequest { id: "..".into(), ..request() },
        MountRequest { id: "a/b".into(), ..request() },
        MountRequest { target_path: "mnt".into(), ..request() },
        MountRequest { bucket: "a\nb".into(), ..request() },
        MountRequest { flags: vec!["x".into()], ..request() },
    ];
    for request in wrong {
        let id = request.id.clone();
        let error = client.mount(request, SOON).await.expect_err("it is refused");
        assert_eq!(error.code(), Some(Code::InvalidArgument), "{id}");
    }
    assert!(client.mounts(SOON).await.expect("a list").is_empty());
    assert!(!agent.root().join("mnt").exists());
}

#[tokio::test]
async fn an_image_without_rclone_says_so_and_unmounting_nothing_is_fine() {
    if Path::new("/usr/bin/rclone").exists() {
        println!("skipped: this machine has rclone");
        return;
    }
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let error = client.mount(request(), SOON).await.expect_err("there is no rclone");
    assert_eq!(error.code(), Some(Code::FailedPrecondition));
    client.unmount("data", SOON).await.expect("it is gone");
}
