//! Real supervisors and servers in front of a store that fails and lies.

mod scene;
mod store;

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lazy::order::Touch;
use lazy::place;
use lazy::status::FillStatus;

use scene::{CHUNK_BYTES, Scene, Wish, content, skipped};
use store::{Conduct, Store};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_served_before_it_is_there_and_ends_as_a_plain_local_file() {
    if skipped() {
        return;
    }
    let store = Store::start(content(64)).await;
    let wish = Wish { grown_bytes: 4096, ..Wish::default() };
    let scene = Scene::start(&store, wish);

    let middle = 40 * CHUNK_BYTES + 5;
    assert_eq!(scene.read(middle, 9000).as_deref(), Some(&scene.content[middle..middle + 9000]));
    let written = Command::new("dd")
        .args(["bs=1", "seek=3932170", "conv=notrunc", "status=none"])
        .arg(format!("of={}", scene.shown()))
        .arg(format!("if={}", scene.path("job/job.json")))
        .arg("count=5")
        .status();
    assert!(written.expect("dd").success());
    scene.until("full", |status| *status == FillStatus::Full).await;

    let mut expected = scene.content.clone();
    expected[3_932_170..3_932_175].copy_from_slice(b"{\"ver");
    expected.resize(expected.len() + 4096, 0);
    assert_eq!(scene.read(0, expected.len()), Some(expected.clone()));
    assert_eq!(std::fs::read(scene.path("local")).expect("the local file"), expected);
    // Holes cost nothing, and what was written to is fetched once.
    let packs: u64 = store.document.packs.iter().map(|pack| pack.size_bytes).sum();
    let sent = store.sent_bytes.load(Ordering::Relaxed);
    assert!(sent < packs + packs / 4, "{sent} sent of {packs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_again_and_again_is_replaced_and_no_reader_hears_of_it() {
    if skipped() {
        return;
    }
    let store = Store::start(content(512)).await;
    let scene = Scene::start(&store, Wish::default());
    let mut reader = Command::new("cat");
    let mut reader =
        reader.arg(scene.shown()).stdout(std::process::Stdio::piped()).spawn().expect("a reader");
    let mut output = reader.stdout.take().expect("its output");
    let read = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut output, &mut bytes).map(|_| bytes)
    });

    let mut kills = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while kills < 8 && Instant::now() < deadline {
        kills += u32::from(scene.kill_server());
        tokio::time::sleep(Duration::from_millis(40)).await;
    }

    let bytes = read.join().expect("joined").expect("read");
    assert!(reader.wait().expect("ended").success());
    assert!(bytes == scene.content, "other bytes than were sealed");
    assert_eq!(kills, 8);
    scene.until("full", |status| *status == FillStatus::Full).await;
    assert!(std::fs::read(scene.path("local")).expect("the local file") == scene.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_p6_other_bytes_than_were_sealed_are_never_served_and_named() {
    if skipped() {
        return;
    }
    let lies =
        [Conduct::Flips, Conduct::Truncates, Conduct::Swaps, Conduct::Mixes, Conduct::WrongRange];
    for conduct in lies {
        let store = Store::start(content(16)).await;
        store.behave(conduct);
        let wish = Wish { fault_deadline_ms: Some(3000), ..Wish::default() };
        let scene = Scene::start(&store, wish);

        let read = scene.read(6 * CHUNK_BYTES, 4096);
        assert!(read.is_none_or(|bytes| bytes.is_empty()), "{conduct:?} was served");
        let lost = scene.until("lost", |status| matches!(status, FillStatus::Lost { .. })).await;
        let FillStatus::Lost { reason } = lost else { unreachable!("waited for") };
        assert!(reason.contains("chunks 6 to 6 of memory"), "{conduct:?}: {reason}");
        assert!(!reason.contains("signature=old"), "{reason}");
        let killed = std::fs::read_to_string(scene.path("cgroup.kill"));
        assert_eq!(killed.expect("the guest's group was killed"), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_ends_the_guest_by_the_deadline_and_says_why() {
    if skipped() {
        return;
    }
    let store = Store::start(content(16)).await;
    store.behave(Conduct::Fails);
    let wish = Wish { fault_deadline_ms: Some(2000), ..Wish::default() };
    let scene = Scene::start(&store, wish);
    let began = Instant::now();

    assert!(scene.read(6 * CHUNK_BYTES, 4096).is_none_or(|bytes| bytes.is_empty()));
    let lost = scene.until("lost", |status| matches!(status, FillStatus::Lost { .. })).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let FillStatus::Lost { reason } = lost else { unreachable!("waited for") };
    assert!(reason.contains("503"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_url_is_signed_anew_and_the_recorded_order_comes_first() {
    if skipped() {
        return;
    }
    let store = Store::start(content(64)).await;
    store.behave(Conduct::Expired);
    let wish = Wish {
        renewal_url: Some(store.renewal_url()),
        prefetch: vec![Touch { file: 0, chunk: 60 }, Touch { file: 0, chunk: 7 }],
        ..Wish::default()
    };
    let scene = Scene::start(&store, wish);

    scene.until("full", |status| *status == FillStatus::Full).await;
    assert_eq!(scene.read(0, 1 << 22), Some(scene.content.clone()));
    // One question renews the URLs of all packs.
    assert_eq!(store.renewals.load(Ordering::Relaxed), 1);
    let order = std::fs::read_to_string(scene.path("job/touches")).expect("the order");
    assert!(order.starts_with("{\"file\":0,\"chunk\":0}\n"), "{order}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_breaks_off_and_recovers_costs_time_and_nothing_else() {
    if skipped() {
        return;
    }
    let store = Store::start(content(64)).await;
    store.behave(Conduct::Stutters);
    let scene = Scene::start(&store, Wish::default());
    assert_eq!(scene.read(0, 1 << 22), Some(scene.content.clone()));
    scene.until("full", |status| *status == FillStatus::Full).await;
    assert!(std::fs::read(scene.path("local")).expect("the local file") == scene.content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_killed_leaves_its_server_at_work_and_the_files_become_full() {
    if skipped() {
        return;
    }
    let store = Store::start(content(256)).await;
    store.behave(Conduct::Stutters);
    let scene = Scene::start(&store, Wish::default());
    let job = scene.job();
    assert!(place::is_supervised(&scene.path("job")).expect("told"));
    let server = scene.kill_supervisor();
    assert!(!place::is_supervised(&scene.path("job")).expect("told"));

    let middle = 200 * CHUNK_BYTES;
    assert_eq!(scene.read(middle, 9000).as_deref(), Some(&scene.content[middle..middle + 9000]));
    let deadline = Instant::now() + Duration::from_secs(60);
    while place::missing_bytes(&scene.path("job"), &job).expect("noted") != Some(0) {
        assert!(Instant::now() < deadline, "not full in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    place::finish(&scene.path("job"), &job).expect("synced");
    assert_eq!(scene.status(), Some(FillStatus::Full));
    assert!(std::fs::read(scene.path("local")).expect("the local file") == scene.content);
    scene::end(server);
}
