//! Firecracker's way to a guest: `CONNECT port`, `OK port`, then a plain stream. The VMM's part is played here.

use std::path::Path;

use guest::client::{Client, ClientError, Target};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::support::*;

const PORT: u32 = 1024;

/// Answers every `CONNECT` with this line, and leads those that it accepts to the agent.
fn play_vmm(socket: &Path, agent: &Agent, answer: &'static str) {
    let listener = UnixListener::bind(socket).expect("a new socket");
    let agent = agent.socket();
    tokio::spawn(async move {
        while let Ok((host, _peer)) = listener.accept().await {
            let mut host = BufReader::new(host);
            let mut line = String::new();
            host.read_line(&mut line).await.expect("a line");
            assert_eq!(line, format!("CONNECT {PORT}\n"));
            host.write_all(answer.as_bytes()).await.expect("the host reads");
            let mut agent = UnixStream::connect(&agent).await.expect("the agent listens");
            tokio::spawn(async move {
                let passed = tokio::io::copy_bidirectional(&mut host, &mut agent).await;
                drop(passed);
            });
        }
    });
}

#[tokio::test]
async fn an_agent_is_reached_through_the_socket_of_a_vsock_device() {
    let agent = Agent::start(Transport::Plain);
    agent.client().await;
    let socket = agent.path("v.sock");
    play_vmm(&socket, &agent, "OK 1073741824\n");
    let client = Client::new(Target::Vsock { socket, port: PORT });
    client.wait_ready(SOON).await.expect("the agent answers");
    assert_eq!(run(&client, "over-vsock", "echo hi").await.stdout, b"hi\n");
}

#[tokio::test]
async fn an_answer_that_is_no_ok_is_a_connect_error_promise_p10() {
    for answer in ["NO\n", "OK 1 and very much more than any such answer would be\n"] {
        let agent = Agent::start(Transport::Plain);
        agent.client().await;
        let socket = agent.path("v.sock");
        play_vmm(&socket, &agent, answer);
        let client = Client::new(Target::Vsock { socket, port: PORT });
        let error = client.handshake(SOON).await.expect_err(answer);
        assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    }
}
