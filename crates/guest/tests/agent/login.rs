//! Logins are told to the webhook.

use std::process::Command as Process;

use guest::proto::{Identity, LoginWebhook};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

const TOKEN: &str = "the-token-of-a-webhook";

/// What `pam_exec` does when a session of this type begins or ends.
fn report(agent: &Agent, kind: &str, user: &str) {
    let status = Process::new(env!("CARGO_BIN_EXE_computer-agent"))
        .args(["--report-login", "--root"])
        .arg(agent.root())
        .env_clear()
        .envs([("PAM_TYPE", kind), ("PAM_USER", user), ("PAM_RHOST", "10.0.0.7")])
        .status()
        .expect("it runs");
    assert!(status.success());
}

/// Reads one request, and answers it with this status.
async fn receive(listener: &TcpListener, status: &str) -> (String, Value) {
    let accepted = tokio::time::timeout(SOON, listener.accept()).await;
    let (mut stream, _peer) = accepted.expect("the webhook is called").expect("a connection");
    let (head, body) = read_request(&mut stream).await;
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.expect("curl reads");
    (head, body)
}

async fn read_request(stream: &mut TcpStream) -> (String, Value) {
    let mut received = Vec::new();
    loop {
        stream.read_buf(&mut received).await.expect("a request");
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return (head.to_owned(), body);
        }
    }
}

/// The command lines and environments of all processes.
fn command_lines() -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir("/proc").expect("proc").filter_map(Result::ok) {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
            all.push_str(&String::from_utf8_lossy(&text));
        }
    }
    all
}

async fn configure(agent: &Agent, url: String) {
    let login_webhook = Some(LoginWebhook { url, bearer_token: TOKEN.to_owned() });
    let identity = Identity { login_webhook, ..Identity::default() };
    let report = agent.client().await.configure(identity, SOON).await.expect("it is set");
    assert!(report.applied.iter().any(|part| part == "login_webhook"), "{report:?}");
    let socket = agent.root().join("run/computer/login.sock");
    eventually("it waits for reports", async || socket.exists()).await;
}

#[tokio::test]
async fn promise_p11_a_login_is_told_with_the_token_which_is_on_no_command_line() {
    if !std::path::Path::new("/usr/bin/curl").exists() {
        println!("skipped: no curl");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let agent = Agent::start_with_own_root(Transport::Framed);
    configure(&agent, format!("http://{address}/login?of=%22box%22")).await;

    report(&agent, "close_session", "nobody");
    report(&agent, "open_session", "no\"de\n");
    let accepted = tokio::time::timeout(SOON, listener.accept()).await;
    let (mut stream, _peer) = accepted.expect("the webhook is called").expect("a connection");
    let (head, body) = read_request(&mut stream).await;
    let seen = command_lines();
    stream
        .write_all(b"HTTP/1.1 503 later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .expect("curl reads");
    drop(stream);
    assert!(head.starts_with("POST /login?of=%22box%22 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("Authorization: Bearer {TOKEN}")), "{head}");
    assert_eq!((&body["event"], &body["user"]), (&json!("login"), &json!("no\"de")));
    assert_eq!(body["source"], "10.0.0.7");
    assert!(body["unix_time_ms"].as_u64().is_some_and(|time| time > 1_700_000_000_000));
    assert!(seen.contains("curl") && !seen.contains(TOKEN));

    // It was not there the first time, and is told again.
    let (_, again) = receive(&listener, "204 fine").await;
    assert_eq!(again, body);
    report(&agent, "open_session", "root");
    let (_, next) = receive(&listener, "204 fine").await;
    assert_eq!(next["user"], "root");
}

#[tokio::test]
async fn promise_p11_a_token_that_is_more_than_a_line_is_refused() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    for (url, bearer_token) in
        [("http://hooks.example", "a\nurl = \"evil\""), ("http://hooks.example/\n", "a")]
    {
        let login_webhook = LoginWebhook { url: url.into(), bearer_token: bearer_token.into() };
        let identity = Identity { login_webhook: Some(login_webhook), ..Identity::default() };
        let error = client.configure(identity, SOON).await.expect_err("it is unfit");
        assert_eq!(error.code(), Some(tonic::Code::InvalidArgument));
    }
}
