//! Names, sizes, times and paths at their limits, and one step past them.

use std::time::Duration;

use contract::exec::MAX_TIMEOUT_MS;
use contract::file_path::MAX_PATH_BYTES;
use serde_json::{Value, json};

use super::stub::{Answer, Stub, a_machine};

/// So many letters.
fn letters(count: usize) -> String {
    "a".repeat(count)
}

async fn running() -> Stub {
    let host = Stub::new();
    assert_eq!(host.post("/machines?wait=running", &a_machine("box")).await.status, 201);
    host
}

fn is(answer: &Answer, status: u16, what: &str) {
    let text = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(answer.status.as_u16(), status, "{what}: {text}");
}

#[tokio::test]
async fn promise_p1_names_are_taken_up_to_their_length_and_no_further() {
    let host = running().await;
    is(&host.post("/machines", &a_machine(&letters(64))).await, 201, "64 letters");
    let mut long = a_machine("box");
    long["machine_id"] = json!(letters(65));
    is(&host.post("/machines", &long).await, 400, "65 letters");
    is(&host.get(&format!("/machines/{}", letters(65))).await, 400, "65 letters in a path");

    let (longest, longer) = (letters(128), letters(129));
    for (path, field, more) in [
        ("/machines/box/snapshots", "snapshot_id", json!({})),
        ("/machines/box/published-ports", "published_port_id", json!({"port": 80})),
        ("/volumes", "volume_id", json!({"size_bytes": 16 << 20})),
        (
            "/machines/box/mounts",
            "mount_id",
            json!({"kind": "webdav", "target_path": "/mnt/d", "config": {"endpoint": "https://dav.test"}}),
        ),
    ] {
        for (name, status) in [(&longest, 201), (&longer, 400)] {
            let mut request = more.clone();
            request[field] = json!(name);
            is(&host.post(path, &request).await, status, &format!("{field} of {}", name.len()));
        }
    }
    for (key, status) in [(&longest, 201), (&longer, 400)] {
        let body = a_machine("keyed");
        is(&host.post_with_key("/machines", key, &body).await, status, "a key");
    }
}

#[tokio::test]
async fn promise_p13_sizes_that_no_machine_has_are_refused_before_anything_is_made() {
    let host = running().await;
    for (field, fits, wrong) in [
        ("vcpus", vec![json!(1), json!(32)], vec![json!(33), json!(u32::MAX)]),
        ("memory_mib", vec![json!(64)], vec![json!(63), json!(u64::MAX)]),
        ("storage_bytes", vec![json!(1 << 20)], vec![json!((1 << 20) - 1), json!(u64::MAX)]),
    ] {
        for value in fits {
            let mut request = a_machine("fits");
            request[field] = value.clone();
            is(&host.post("/machines", &request).await, 201, &format!("{field} {value}"));
            is(&host.delete("/machines/fits").await, 204, "gone again");
        }
        for value in wrong {
            let mut request = a_machine("wrong");
            request[field] = value.clone();
            is(&host.post("/machines", &request).await, 422, &format!("{field} {value}"));
        }
        for value in [json!(-1), json!(1.5), json!("1"), json!(1e300)] {
            let mut request = a_machine("wrong");
            request[field] = value.clone();
            is(&host.post("/machines", &request).await, 400, &format!("{field} {value}"));
        }
    }
    let mut large = a_machine("large");
    large["memory_mib"] = json!(1 << 20);
    is(&host.post("/machines", &large).await, 507, "all the memory that a guest can have");
    for resize in [json!({"memory_mib": 63}), json!({"storage_bytes": u64::MAX})] {
        let resized = host.post("/machines/box/resize", &resize).await;
        is(&resized, 422, &resize.to_string());
    }
    let volume = json!({"volume_id": "data", "size_bytes": u64::MAX});
    is(&host.post("/volumes", &volume).await, 422, "a volume of all bytes there are");
    is(&host.get("/machines/wrong").await, 404, "nothing is left of what was refused");
}

#[tokio::test]
async fn ports_counts_and_times_have_limits_of_their_own() {
    let host = running().await;
    for (port, status) in [(1, 201), (65_535, 201), (65_536, 400), (-1, 400)] {
        let request = json!({"published_port_id": format!("p{port}"), "port": port});
        let request =
            if port < 0 { json!({"published_port_id": "p", "port": port}) } else { request };
        is(&host.post("/machines/box/published-ports", &request).await, status, &port.to_string());
    }
    let named = |bytes| json!({"published_port_id": format!("n{bytes}"), "port": 80, "name": letters(bytes)});
    is(&host.post("/machines/box/published-ports", &named(128)).await, 201, "a name of 128");
    is(&host.post("/machines/box/published-ports", &named(129)).await, 422, "a name of 129");

    let exec = |timeout_ms: u64| json!({"command": ["true"], "timeout_ms": timeout_ms});
    let late = host.post("/machines/box/exec", &exec(MAX_TIMEOUT_MS + 1)).await;
    is(&late, 422, "five minutes and a bit");
    let keyed = host.post_with_key("/machines/box/exec", "k", &exec(MAX_TIMEOUT_MS)).await;
    is(&keyed, 200, "five minutes");
    is(&host.post("/machines/box/exec", &exec(u64::MAX)).await, 422, "for ever");
    is(&host.post("/machines/box/exec", &json!({"command": []})).await, 400, "no command");

    let mut volumes = a_machine("many");
    volumes["user_volume_ids"] = (0..12).map(|number| json!(format!("v{number}"))).collect();
    let many = host.post("/machines", &volumes).await;
    assert!(matches!(many.status.as_u16(), 404 | 422), "{}", many.code());
}

#[tokio::test]
async fn paths_and_file_requests_at_their_limits_reach_the_guest_and_past_them_do_not() {
    let host = running().await;
    let stat = |path: String| json!({"operation": "stat", "path": path});
    // 503: it was let through, and the stub's guests have no channel.
    let reached = 503;
    let ops = "/machines/box/files/ops";
    is(&host.post(ops, &stat(letters(MAX_PATH_BYTES))).await, reached, "the longest path");
    is(&host.post(ops, &stat(letters(MAX_PATH_BYTES + 1))).await, 422, "a longer path");
    for (mode, status) in [(0o7777, reached), (0o10000, 422), (u32::MAX, 422)] {
        let request = json!({"operation": "mkdir", "path": "d", "mode": mode});
        is(&host.post(ops, &request).await, status, &format!("mode {mode:o}"));
    }
    for (offset, status) in
        [(0, reached), (i64::MAX as u64 - 1, reached), (i64::MAX as u64, 422), (u64::MAX, 422)]
    {
        let request =
            json!({"operation": "write_range", "path": "f", "content": "x", "offset": offset});
        is(&host.post(ops, &request).await, status, &format!("offset {offset}"));
    }
    for wrong in [json!({"length": -1}), json!({"offset": 1e30}), json!({"max_matches": "many"})] {
        let mut request = json!({"operation": "read_range", "path": "f"});
        request.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        is(&host.post(ops, &request).await, 400, &request.to_string());
    }
}

#[tokio::test]
async fn promise_p10_a_body_is_taken_up_to_its_limit_and_json_up_to_its_depth() {
    let host = running().await;
    let limit = host.api.limits.request_bytes;
    let body = |bytes: usize| {
        let frame = json!({"operation": "write_text", "path": "f", "content": ""}).to_string();
        json!({"operation": "write_text", "path": "f", "content": letters(bytes - frame.len())})
    };
    is(&host.post("/machines/box/files/ops", &body(limit)).await, 503, "as much as is taken");
    is(&host.post("/machines/box/files/ops", &body(limit + 1)).await, 413, "one byte more");
    let deep = (0..1000).fold(json!(null), |inner: Value, _| json!([inner]));
    let mut request = a_machine("deep");
    request["guest_config"] = deep;
    let answer = tokio::time::timeout(Duration::from_secs(60), host.post("/machines", &request));
    is(&answer.await.unwrap(), 400, "a thousand lists in each other");
}
