//! The channel breaks while a command runs: no byte is lost or doubled, in either direction.

use std::time::Duration;

use guest::client::{Client, ClientError, Event};
use guest::limits;
use tonic::Code;

use crate::support::*;

/// Reads to the end, and cuts the channel each time so many bytes have come.
async fn read_all(
    client: &Client,
    id: &str,
    script: &str,
    relay: &Relay,
    cut_every: usize,
) -> Vec<u8> {
    let mut session = client.start(id, shell(script), SOON).await.expect("it starts");
    let (mut received, mut next_cut) = (Vec::new(), cut_every);
    while let Some(event) = session.next_event(SOON).await.expect("an event") {
        match event {
            Event::Stdout(data) => received.extend_from_slice(&data),
            Event::Exit(exit) => assert_eq!(exit.stdout_bytes, received.len() as u64),
            other => panic!("{other:?}"),
        }
        if received.len() >= next_cut {
            relay.cut();
            next_cut += cut_every;
        }
    }
    received
}

#[tokio::test]
async fn output_over_a_channel_that_breaks_again_and_again_is_exact() {
    for transport in [Transport::Plain, Transport::Framed] {
        let agent = Agent::start(transport);
        agent.client().await;
        let relay = Relay::start(&agent.path("relay.sock"), agent.socket());
        let client = agent.client_at(agent.path("relay.sock")).await;
        let received = read_all(&client, "count", "seq 1 300000", &relay, 150_000).await;
        let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
        assert!(received == expected.as_bytes(), "{transport:?}: {} bytes", received.len());
    }
}

#[tokio::test]
async fn input_over_a_channel_that_breaks_is_exact() {
    let agent = Agent::start(Transport::Framed);
    agent.client().await;
    let relay = Relay::start(&agent.path("relay.sock"), agent.socket());
    let client = agent.client_at(agent.path("relay.sock")).await;
    let command = shell("sha256sum; true").stdin();
    let mut session = client.start("sum", command, SOON).await.expect("it starts");
    let mut input = session.take_input().expect("a stdin");
    let piece: Vec<u8> = (0..100_000_u32).map(|index| (index / 3) as u8).collect();
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend_from_slice(&piece);
        let write = input.write(piece.clone().into(), SOON);
        // A cut while the write is under way.
        let (written, ()) = tokio::join!(write, async { relay.cut() });
        written.expect("it arrives");
    }
    input.close(SOON).await.expect("it closes");
    let mut sum = Vec::new();
    while let Some(event) = session.next_event(SOON).await.expect("an event") {
        if let Event::Stdout(data) = event {
            sum.extend_from_slice(&data);
        }
    }
    let file = agent.path("all");
    std::fs::write(&file, &all).expect("a file");
    let expected = std::process::Command::new("sha256sum")
        .stdin(std::fs::File::open(&file).expect("the file"))
        .output()
        .expect("sha256sum");
    assert_eq!(String::from_utf8_lossy(&sum), String::from_utf8_lossy(&expected.stdout));
}

#[tokio::test]
async fn a_command_goes_on_while_nobody_is_attached_and_a_new_host_reads_on() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let gate = agent.path("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status().expect("mkfifo");
    assert!(made.success());
    let script = format!("echo one; read x <{}; echo two; exit 5", gate.display());
    let mut session = client.start("longer", shell(&script), SOON).await.expect("it starts");
    let first = session.next_event(SOON).await.expect("an event");
    assert_eq!(first, Some(Event::Stdout("one\n".into())));
    let (stdout, stderr) = session.offsets();
    drop(session);
    client.disconnect().await;

    std::fs::write(&gate, "go\n").expect("it reads the gate");
    let other_host = agent.client().await;
    let exit = other_host.session("longer", 0, 0).control().wait(SOON).await.expect("it ends");
    assert_eq!(exit.exit_code, 5);
    let mut session = other_host.session("longer", stdout, stderr);
    let next = session.next_event(SOON).await.expect("an event");
    assert_eq!(next, Some(Event::Stdout("two\n".into())));
    assert!(matches!(session.next_event(SOON).await.expect("an event"), Some(Event::Exit(_))));
    assert_eq!(session.next_event(SOON).await.expect("no event"), None);
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_made_again_and_starts_nothing_twice() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let mark = agent.path("mark");
    let script = format!("echo x >>{}", mark.display());
    for _ in 0..3 {
        client.start("once", shell(&script), SOON).await.expect("the same session");
    }
    client.session("once", 0, 0).control().wait(SOON).await.expect("it ends");
    assert_eq!(std::fs::read(&mark).expect("it ran"), b"x\n");
    let error = client.start("once", shell("true"), SOON).await.expect_err("another command");
    assert_eq!(error.code(), Some(Code::AlreadyExists));
}

#[tokio::test]
async fn a_command_that_nobody_reads_waits_with_bounded_output_promise_p10() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let session = client.start("yes", shell("exec yes"), SOON).await.expect("it starts");
    let full = limits::UNREAD_BYTES as u64;
    eventually("the buffer fills", async || {
        client.list_sessions(SOON).await.expect("a list")[0].stdout_bytes == full
    })
    .await;
    assert!(matches!(
        session.control().wait(Duration::from_millis(200)).await,
        Err(ClientError::Deadline { .. })
    ));
    assert_eq!(client.list_sessions(SOON).await.expect("a list")[0].stdout_bytes, full);
    session.remove(SOON).await.expect("it goes");
}

#[tokio::test]
async fn a_command_that_drops_its_oldest_output_runs_on_and_the_gap_is_told() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = shell("seq 1 200000").drop_oldest_output();
    let mut session = client.start("drop", command, SOON).await.expect("it starts");
    let exit = session.control().wait(SOON).await.expect("it does not wait for a reader");
    assert_eq!(exit.exit_code, 0);
    let (mut lost, mut received) = (0, Vec::new());
    while let Some(event) = session.next_event(SOON).await.expect("an event") {
        match event {
            Event::Stdout(data) => received.extend_from_slice(&data),
            Event::Lost { bytes, .. } => lost += bytes,
            Event::Exit(exit) => assert_eq!(exit.stdout_bytes, lost + received.len() as u64),
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0);
    assert!(received.ends_with(b"\n199999\n200000\n"));
}

#[tokio::test]
async fn the_newest_attachment_takes_the_session_over() {
    let agent = Agent::start(Transport::Plain);
    let client = agent.client().await;
    let command = shell("cat").stdin();
    let mut first = client.start("shared", command, SOON).await.expect("it starts");
    let mut input = first.take_input().expect("a stdin");
    input.write("a".into(), SOON).await.expect("it reads");
    assert_eq!(first.next_event(SOON).await.expect("an event"), Some(Event::Stdout("a".into())));
    let mut second = agent.client().await.session("shared", 1, 0);
    input.write("b".into(), SOON).await.expect("it reads");
    assert_eq!(second.next_event(SOON).await.expect("an event"), Some(Event::Stdout("b".into())));
    let error = first.next_event(SOON).await;
    assert!(
        matches!(error, Ok(Some(Event::Stdout(_))) | Err(ClientError::Refused { .. })),
        "{error:?}"
    );
    input.close(SOON).await.expect("it closes");
    second.control().wait(SOON).await.expect("it ends");
}

/// Reads to the end: the bytes in their order, and how many were lost.
async fn read_on(session: &mut guest::client::Session) -> (Vec<u8>, u64) {
    let (mut received, mut lost) = (Vec::new(), 0);
    while let Some(event) = session.next_event(SOON).await.expect("an event") {
        match event {
            Event::Stdout(data) | Event::Stderr(data) => received.extend_from_slice(&data),
            Event::Lost { bytes } => lost += bytes,
            Event::Exit(_) => {}
        }
    }
    (received, lost)
}

#[tokio::test]
async fn promise_p4_a_host_that_knows_only_how_much_it_was_sent_reads_on_at_every_position() {
    let agent = Agent::start(Transport::Plain);
    let client = agent.client().await;
    let script = "for i in 1 2 3 4 5 6 7 8; do echo out $i; echo error $i >&2; done";
    let mut session = client.start("mixed", shell(script), SOON).await.expect("it starts");
    let (all, lost) = read_on(&mut session).await;
    assert_eq!((lost, session.position()), (0, all.len() as u64));
    for position in 0..=all.len() {
        let host = agent.client().await;
        let found = host.resume("mixed", position as u64, SOON).await;
        let mut session = found.expect("it is there, ended as it is");
        let (rest, lost) = read_on(&mut session).await;
        assert_eq!((lost, rest.as_slice()), (0, &all[position..]), "from {position}");
    }
    let beyond = client.resume("mixed", all.len() as u64 + 1, SOON).await;
    assert_eq!(beyond.expect_err("not reached").code(), Some(Code::OutOfRange));
    let unknown = client.resume("no-such", 0, SOON).await.expect_err("no session");
    assert_eq!(unknown.code(), Some(Code::NotFound));
    let torn = client.session("mixed", all.len() as u64, 0).next_event(SOON).await;
    assert_eq!(torn.expect_err("not of one moment").code(), Some(Code::OutOfRange));
}

#[tokio::test]
async fn what_was_read_long_ago_is_told_as_lost_and_the_rest_is_read_again() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let script = "seq 1 200000";
    let mut session = client.start("long", shell(script), SOON).await.expect("it starts");
    let (all, _) = read_on(&mut session).await;
    let mut again = client.resume("long", 10, SOON).await.expect("it is there");
    let (rest, lost) = read_on(&mut again).await;
    assert!(lost > 0 && rest.len() >= limits::OUTPUT_BYTES - limits::CHUNK_BYTES, "{lost} lost");
    assert_eq!(10 + lost + rest.len() as u64, all.len() as u64);
    assert!(all.ends_with(&rest));
}

#[tokio::test]
async fn a_session_that_is_found_again_takes_input_where_its_command_stands() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = shell("cat").stdin();
    let mut first = client.start("cat", command, SOON).await.expect("it starts");
    let mut input = first.take_input().expect("a stdin");
    input.write("one ".into(), SOON).await.expect("it reads");
    assert_eq!(first.next_event(SOON).await.expect("an event"), Some(Event::Stdout("one ".into())));
    drop((first, input));
    client.disconnect().await;

    let host = agent.client().await;
    let mut second = host.resume("cat", 4, SOON).await.expect("it is there");
    let mut input = second.take_input().expect("its stdin is open");
    assert_eq!(input.offset(), 4);
    input.write("two".into(), SOON).await.expect("it reads");
    input.close(SOON).await.expect("it closes");
    assert_eq!(read_on(&mut second).await, (b"two".to_vec(), 0));
    let summary = &host.list_sessions(SOON).await.expect("a list")[0];
    assert!(!summary.stdin_open && !summary.terminal && summary.exit.is_some());
}

#[tokio::test]
async fn a_command_that_waits_for_its_reader_waits_while_one_is_there() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = shell("seq 1 200000").wait_for_reader();
    let mut session = client.start("patient", command, SOON).await.expect("it starts");
    let waited = session.control().wait(Duration::from_millis(500)).await;
    assert!(matches!(waited, Err(ClientError::Deadline { .. })), "{waited:?}");
    let (all, lost) = read_on(&mut session).await;
    assert_eq!(lost, 0);
    assert!(all.ends_with(b"\n199999\n200000\n"));
}
