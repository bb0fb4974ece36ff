//! Commands with a terminal.

use guest::client::{Event, Session};
use guest::proto::TerminalSize;
use tonic::Code;

use crate::support::*;

async fn read_until(session: &mut Session, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        match session.next_event(SOON).await.expect("an event") {
            Some(Event::Stdout(data)) => text.push_str(&String::from_utf8_lossy(&data)),
            other => panic!("{other:?} after {text:?}"),
        }
    }
    text
}

#[tokio::test]
async fn a_terminal_has_its_size_takes_typing_and_ends_with_its_command() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = shell("tty; stty size; read word; stty size; echo $word; cat; exit 4")
        .terminal(TerminalSize { rows: 24, columns: 80 })
        .stdin();
    let mut session = client.start("terminal", command, SOON).await.expect("it starts");
    let mut input = session.take_input().expect("a stdin");
    let text = read_until(&mut session, "24 80").await;
    assert!(text.starts_with("/dev/pts/"), "{text}");
    let size = TerminalSize { rows: 50, columns: 132 };
    session.control().resize(size, SOON).await.expect("it has a terminal");
    input.write("hello\n".into(), SOON).await.expect("it reads");
    read_until(&mut session, "50 132\r\nhello").await;
    input.close(SOON).await.expect("the end of file is typed");
    loop {
        match session.next_event(SOON).await.expect("an event") {
            Some(Event::Stdout(_)) => {}
            Some(Event::Exit(exit)) => break assert_eq!(exit.exit_code, 4),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn control_c_interrupts_the_command_of_a_terminal() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let command = shell("echo ready; exec sleep 600")
        .terminal(TerminalSize { rows: 24, columns: 80 })
        .stdin();
    let mut session = client.start("interrupted", command, SOON).await.expect("it starts");
    let mut input = session.take_input().expect("a stdin");
    read_until(&mut session, "ready").await;
    input.write("\u{3}".into(), SOON).await.expect("it reads");
    let exit = session.control().wait(SOON).await.expect("it ends");
    assert_eq!(exit.signal, libc::SIGINT);
}

#[tokio::test]
async fn a_session_without_a_terminal_cannot_be_resized() {
    let agent = Agent::start(Transport::Framed);
    let client = agent.client().await;
    let session = client.start("plain", shell("true"), SOON).await.expect("it starts");
    let size = TerminalSize { rows: 1, columns: 1 };
    let error = session.control().resize(size, SOON).await.expect_err("no terminal");
    assert_eq!(error.code(), Some(Code::FailedPrecondition));
}
