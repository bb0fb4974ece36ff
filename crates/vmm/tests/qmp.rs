//! The monitor's client against servers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tempfile::TempDir;
use vmm::qemu::qmp::{ErrorClass, Monitor, QmpError, VmStatus};

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}, "capabilities": ["oob"]}}"#;
const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(100);

/// A server that greets, agrees to the negotiation, and then answers each command with what `answer` says.
fn server(answer: impl Fn(&str, u64) -> String + Send + 'static) -> (TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let socket = Utf8Path::from_path(dir.path()).unwrap().join("qmp.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            serve(stream, &answer);
        }
    });
    (dir, socket)
}

/// Until the client leaves.
fn serve(mut stream: UnixStream, answer: &impl Fn(&str, u64) -> String) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    if writeln!(stream, "{GREETING}\r").is_err() {
        return;
    }
    for line in lines {
        let Ok(line) = line else { return };
        let request: Value = serde_json::from_str(&line).unwrap();
        let (command, id) = (request["execute"].as_str().unwrap(), request["id"].as_u64().unwrap());
        let text = match command {
            "qmp_capabilities" => format!(r#"{{"return": {{}}, "id": {id}}}"#) + "\n",
            _ => answer(command, id),
        };
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn events_and_late_answers_between_command_and_answer_are_set_aside() {
    let (_dir, socket) = server(|_command, id| {
        let event = r#"{"timestamp": {"seconds": 1, "microseconds": 0}, "event": "STOP"}"#;
        let late = r#"{"return": {"status": "inmigrate"}, "id": 1}"#;
        format!("{event}\n{late}\n{{\"return\": {{\"status\": \"paused\"}}, \"id\": {id}}}\n")
    });
    let mut monitor = Monitor::connect(&socket, PATIENCE).await.unwrap();

    assert_eq!(monitor.version()["qemu"]["major"], 7);
    assert_eq!(monitor.query_status().await.unwrap(), VmStatus::Paused);
    monitor
        .wait_event("a stop", PATIENCE, |event| (event.name == "STOP").then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_keeps_qemus_class_and_words() {
    let (_dir, socket) = server(|_command, id| {
        format!(
            r#"{{"id": {id}, "error": {{"class": "CommandNotFound", "desc": "no such command"}}}}"#
        ) + "\n"
    });
    let mut monitor = Monitor::connect(&socket, PATIENCE).await.unwrap();

    let error = monitor.stop().await.unwrap_err();

    let QmpError::Refused { command, class, description } = error else { panic!("{error:?}") };
    assert_eq!((command.as_str(), class), ("stop", ErrorClass::CommandNotFound));
    assert_eq!(description, "no such command");
}

#[tokio::test]
async fn promise_p14_a_monitor_that_never_answers_costs_its_deadline_only() {
    let (_dir, socket) = server(|_command, _id| String::new());
    let mut monitor = Monitor::connect(&socket, Duration::from_secs(2)).await.unwrap();
    let error = monitor.stop().await.unwrap_err();
    assert!(matches!(error, QmpError::Silent { .. }), "{error:?}");

    let event = monitor.wait_event("nothing", SOON, |_| Some(())).await;
    assert!(matches!(event, Err(QmpError::Silent { .. })), "{event:?}");

    // Nobody accepts, and so nobody greets.
    let dir = tempfile::tempdir().unwrap();
    let mute = Utf8Path::from_path(dir.path()).unwrap().join("mute.sock");
    let _listener = UnixListener::bind(&mute).unwrap();
    let error = Monitor::connect(&mute, SOON).await.unwrap_err();
    assert!(matches!(error, QmpError::Silent { .. }), "{error:?}");
}

#[tokio::test]
async fn promise_p10_what_a_monitor_sends_is_bounded() {
    let (_dir, socket) = server(|_command, _id| "x".repeat(2 * 1024 * 1024));
    let mut monitor = Monitor::connect(&socket, PATIENCE).await.unwrap();
    let error = monitor.stop().await.unwrap_err();
    assert!(matches!(error, QmpError::TooLong { .. }), "{error:?}");

    let (_dir, socket) = server(|_command, id| {
        let flood: String = (0..1000)
            .map(|number| format!(r#"{{"event": "E{number}", "timestamp": {{}}}}"#) + "\n")
            .collect();
        format!("{flood}{{\"return\": {{}}, \"id\": {id}}}\n")
    });
    let mut monitor = Monitor::connect(&socket, PATIENCE).await.unwrap();
    monitor.stop().await.unwrap();
    let oldest =
        monitor.wait_event("any", PATIENCE, |event| Some(event.name.clone())).await.unwrap();
    assert_eq!(oldest, "E936", "the last 64 are kept");
}

#[tokio::test]
async fn a_monitor_that_leaves_or_talks_nonsense_is_told_apart_from_a_silent_one() {
    let (_dir, socket) = server(|_command, _id| "no json\n".to_owned());
    let mut monitor = Monitor::connect(&socket, PATIENCE).await.unwrap();
    let error = monitor.stop().await.unwrap_err();
    assert!(matches!(error, QmpError::Malformed { .. }), "{error:?}");

    let dir = tempfile::tempdir().unwrap();
    let gone = Utf8Path::from_path(dir.path()).unwrap().join("gone.sock");
    let listener = UnixListener::bind(&gone).unwrap();
    let leaver = std::thread::spawn(move || drop(listener.accept()));
    let error = Monitor::connect(&gone, PATIENCE).await.unwrap_err();
    assert!(matches!(error, QmpError::Broken { .. }), "{error:?}");
    leaver.join().unwrap();
    let error = Monitor::connect(&gone, PATIENCE).await.unwrap_err();
    assert!(matches!(error, QmpError::Connect { .. }), "{error:?}");
}
