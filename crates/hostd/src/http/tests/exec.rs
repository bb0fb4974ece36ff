use std::sync::atomic::Ordering;

use serde_json::json;

use super::stub::{Stub, a_machine};

#[tokio::test]
async fn an_exec_port_is_opened_once_and_stays() {
    let host = Stub::new();
    host.post("/machines?wait=running", &a_machine("box")).await;
    let opened = host.post("/machines/box/exec-relay", &json!({})).await;
    assert_eq!(opened.status, 200);
    let ports = opened.json()["machine"]["ports"].clone();
    let exec = ports.as_array().unwrap().iter().find(|port| port["name"] == "exec").unwrap();
    assert_eq!((&exec["port"], &exec["protocol"]), (&json!(49983), &json!("tcp")));
    assert!(exec["host_port"].as_u64().is_some_and(|port| (50_000..=54_999).contains(&port)));
    let operation = host.get(&format!("/operations/{}", opened.operation())).await.json();
    assert_eq!(operation["operation"]["kind"], "open_exec_relay");
    let again = host.post("/machines/box/exec-relay", &json!({})).await;
    assert_eq!(again.json()["machine"]["ports"], ports);
    host.post("/machines/box/stop", &json!({})).await;
    let stopped = host.post("/machines/box/exec-relay", &json!({})).await;
    assert_eq!((stopped.status.as_u16(), &stopped.json()["machine"]["ports"]), (200, &ports));
    assert_eq!(host.post("/machines/none/exec-relay", &json!({})).await.status, 404);
}

#[tokio::test]
async fn sessions_need_a_machine_that_runs_and_a_name_that_is_one() {
    let host = Stub::new();
    assert_eq!(host.get("/machines/box/exec/sessions").await.status, 404);
    host.post("/machines?wait=running", &a_machine("box")).await;
    host.post("/machines/box/stop", &json!({})).await;
    assert_eq!(host.get("/machines/box/exec/sessions").await.code(), "wrong_state");
    assert_eq!(host.delete("/machines/box/exec/sessions/s-1").await.code(), "wrong_state");
    for name in ["..", "a%2fb", "-"] {
        let answer = host.delete(&format!("/machines/box/exec/sessions/{name}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{name}");
    }
}

#[tokio::test]
async fn promise_p1_names_and_keys_that_are_none_are_refused_where_they_come_in() {
    let host = Stub::new();
    for config in [
        json!({"hostname": "a..b"}),
        json!({"authorized_keys": ["ssh-ed25519 AAAA me"]}),
        json!({"trusted_user_ca_keys": ["no-pty"]}),
        json!({"login_webhook": {"url": "file:///etc/passwd"}}),
        json!({"login_webhook": {"url": "https://hooks.example", "bearer_token": "a\nb"}}),
    ] {
        let mut request = a_machine("box");
        request["guest_config"] = config.clone();
        let refused = host.post("/machines", &request).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, "malformed"),
            "{config}"
        );
    }
}

#[tokio::test]
async fn a_command_with_a_key_runs_once_and_is_answered_again() {
    let host = Stub::new();
    host.post("/machines?wait=running", &a_machine("box")).await;
    let command = json!({"command": ["echo", "yes"], "env": {"TOKEN": "hunter2"}});
    let first = host.post_with_key("/machines/box/exec", "k", &command).await;
    let expected = json!({"exit_code": 0, "stdout": "yes", "stderr": "", "duration_ms": 3});
    assert_eq!((first.status.as_u16(), first.json()), (200, expected.clone()));
    host.delete("/machines/box").await;
    let again = host.post_with_key("/machines/box/exec", "k", &command).await;
    assert_eq!((again.operation(), again.json()), (first.operation(), expected));
    assert_eq!(host.yes.commands.load(Ordering::Relaxed), 1);
    let operation = host.get(&format!("/operations/{}", first.operation())).await.json();
    assert_eq!(operation["operation"]["kind"], "exec");
    assert_eq!(operation["operation"]["state"], "committed");
}

#[tokio::test]
async fn a_command_with_a_key_that_ran_out_of_time_is_answered_so_again() {
    let host = Stub::new();
    host.post("/machines?wait=running", &a_machine("box")).await;
    host.yes.commands_are_late.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let late =
            host.post_with_key("/machines/box/exec", "k", &json!({"command": ["sleep"]})).await;
        assert_eq!((late.status.as_u16(), late.code().as_str()), (504, "deadline"));
        assert_eq!(
            (&late.json()["stdout"], &late.json()["duration_ms"]),
            (&json!("yes"), &json!(3))
        );
    }
    assert_eq!(host.yes.commands.load(Ordering::Relaxed), 1);
}
