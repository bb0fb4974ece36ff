//! Commands over Connect RPC, as E2B's clients send them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes};
use guest::client::Client;
use guest::proto::{ExecServer, Identity};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::support::*;

const TOKEN: &str = "a token of a test";

/// An agent that lets in who shows the token.
async fn open_agent() -> (Agent, Client) {
    let agent = Agent::start_with_exec_server();
    let client = agent.client().await;
    let exec_server = Some(ExecServer { token: TOKEN.to_owned() });
    let identity = Identity { exec_server, ..Identity::default() };
    client.configure(identity, SOON).await.expect("it opens");
    let socket = agent.path("exec.sock");
    eventually("it listens", async || UnixStream::connect(&socket).await.is_ok()).await;
    (agent, client)
}

/// A request as it goes over the wire.
struct Call<'a> {
    name: &'a str,
    content_type: &'a str,
    token: &'a str,
    body: Vec<u8>,
}

impl<'a> Call<'a> {
    fn unary(name: &'a str, message: &Value) -> Call<'a> {
        let body = message.to_string().into_bytes();
        Call { name, content_type: "application/json", token: TOKEN, body }
    }

    fn stream(name: &'a str, messages: &[Value]) -> Call<'a> {
        let body = messages.iter().flat_map(envelope).collect();
        Call { name, content_type: "application/connect+json", token: TOKEN, body }
    }

    async fn send(self, agent: &Agent) -> http::Response<Incoming> {
        let stream = UnixStream::connect(agent.path("exec.sock")).await.expect("it listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let request = Request::post(format!("/process.Process/{}", self.name))
            .header("host", "sandbox")
            .header("content-type", self.content_type)
            .header("connect-protocol-version", "1")
            .header("x-access-token", self.token)
            .header("authorization", format!("Basic {}", STANDARD.encode("root:")))
            .header("keepalive-ping-interval", "1")
            .body(Full::new(Bytes::from(self.body)))
            .expect("a request");
        sender.send_request(request).await.expect("an answer")
    }
}

fn envelope(message: &Value) -> Vec<u8> {
    let text = message.to_string();
    let length = u32::try_from(text.len()).expect("short");
    [&[0], &length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn start(script: &str) -> Value {
    json!({"process": {"cmd": "/bin/sh", "args": ["-c", script], "envs": {"A": "b"}, "cwd": "/"}, "stdin": false})
}

/// The messages of a stream, read as they come.
struct Events {
    body: Incoming,
    buffer: bytes::BytesMut,
}

impl Events {
    fn of(response: http::Response<Incoming>) -> Events {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/connect+json");
        Events { body: response.into_body(), buffer: bytes::BytesMut::new() }
    }

    /// The flags and the message.
    async fn next(&mut self) -> (u8, Value) {
        loop {
            if let Some(&[flags, a, b, c, d]) = self.buffer.first_chunk::<5>() {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    let message = self.buffer.split_to(length);
                    return (flags, serde_json::from_slice(&message).expect("JSON"));
                }
            }
            let frame = tokio::time::timeout(SOON, self.body.frame()).await.expect("in time");
            let frame = frame.expect("an end comes before the end").expect("a frame");
            self.buffer.extend_from_slice(frame.data_ref().expect("data"));
        }
    }

    /// The next event that is no keep-alive.
    async fn event(&mut self) -> Value {
        loop {
            let (flags, message) = self.next().await;
            assert_eq!(flags, 0, "{message}");
            if message["event"].get("keepalive").is_none() {
                return message["event"].clone();
            }
        }
    }

    /// All output until the end, and the end.
    async fn rest(mut self) -> (String, Value) {
        let mut output = String::new();
        loop {
            let event = self.event().await;
            if let Some(end) = event.get("end") {
                let (flags, trailer) = self.next().await;
                assert_eq!((flags, trailer), (2, json!({})));
                return (output, end.clone());
            }
            output.push_str(&text(&event));
        }
    }
}

/// The output of a data event, whichever stream.
fn text(event: &Value) -> String {
    let data = event["data"].as_object().expect("data").values().next().expect("a stream");
    let bytes = STANDARD.decode(data.as_str().expect("text")).expect("base 64");
    String::from_utf8(bytes).expect("text")
}

async fn answer(response: http::Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_process_is_started_and_its_streams_and_end_are_told() {
    if lacks_root() {
        return;
    }
    let (agent, client) = open_agent().await;
    let call = Call::stream("Start", &[start("echo $A; id -u; echo oops >&2; exit 3")]);
    let mut events = Events::of(call.send(&agent).await);
    let pid = events.event().await["start"]["pid"].as_u64().expect("a pid");
    assert!(pid > 1);
    let (output, end) = events.rest().await;
    assert_eq!(output.replace("oops\n", ""), "b\n0\n");
    assert!(output.contains("oops\n"));
    let expected =
        json!({"exitCode": 3, "exited": true, "status": "exit status 3", "error": "exit status 3"});
    assert_eq!(end, expected);
    // The host sees it as a session like any other.
    let sessions = client.list_sessions(SOON).await.expect("a list");
    assert_eq!(sessions[0].session_id, "connect-1");
}

#[tokio::test]
async fn promise_p11_nobody_is_let_in_without_the_token_or_before_the_host_opens() {
    if lacks_root() {
        return;
    }
    let (agent, _client) = open_agent().await;
    for token in ["", "another"] {
        let call = Call { token, ..Call::unary("List", &json!({})) };
        let (status, error) = answer(call.send(&agent).await).await;
        assert_eq!((status, &error["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
    }
    let closed = Agent::start_with_exec_server();
    closed.client().await;
    assert!(UnixStream::connect(closed.path("exec.sock")).await.is_err());
}

#[tokio::test]
async fn a_refusal_says_that_its_connection_ends_so_that_no_client_uses_it_again() {
    let (agent, _client) = open_agent().await;
    let refused = Call { token: "another", ..Call::unary("List", &json!({})) };
    assert_eq!(refused.send(&agent).await.headers()["connection"], "close");
    let served = Call::unary("List", &json!({})).send(&agent).await;
    assert_eq!((served.status(), served.headers().get("connection")), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_process_is_listed_written_to_resized_and_connected_to_again() {
    if lacks_root() {
        return;
    }
    let (agent, _client) = open_agent().await;
    let mut request = start("stty size; read word; stty size; echo got $word; exec cat");
    request["pty"] = json!({"size": {"cols": 80, "rows": 24}});
    request["tag"] = json!("term");
    let mut events = Events::of(Call::stream("Start", &[request]).send(&agent).await);
    let pid = events.event().await["start"]["pid"].clone();
    assert_eq!(text(&events.event().await), "24 80\r\n");
    drop(events);

    let (_, list) = answer(Call::unary("List", &json!({})).send(&agent).await).await;
    assert_eq!(list["processes"][0]["pid"], pid);
    assert_eq!(list["processes"][0]["tag"], "term");
    let process = json!({"tag": "term"});
    let size = json!({"process": process, "pty": {"size": {"cols": 132, "rows": 50}}});
    let (status, _) = answer(Call::unary("Update", &size).send(&agent).await).await;
    assert_eq!(status, StatusCode::OK);

    let connect = Call::stream("Connect", &[json!({"process": {"pid": pid}})]);
    let mut events = Events::of(connect.send(&agent).await);
    assert_eq!(events.event().await, json!({"start": {"pid": pid}}));
    let input = json!({"process": process, "input": {"pty": STANDARD.encode("word\n")}});
    let (status, _) = answer(Call::unary("SendInput", &input).send(&agent).await).await;
    assert_eq!(status, StatusCode::OK);
    let mut seen = String::new();
    while !seen.contains("50 132\r\ngot word\r\n") {
        seen.push_str(&text(&events.event().await));
    }
    let kill = json!({"process": process, "signal": "SIGNAL_SIGKILL"});
    let (status, _) = answer(Call::unary("SendSignal", &kill).send(&agent).await).await;
    assert_eq!(status, StatusCode::OK);
    let (_, end) = events.rest().await;
    assert_eq!((&end["exited"], &end["status"]), (&json!(false), &json!("signal: killed")));
    let (status, error) = answer(Call::unary("SendSignal", &kill).send(&agent).await).await;
    assert_eq!((status, &error["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn input_comes_as_a_stream_and_its_end_is_seen() {
    if lacks_root() {
        return;
    }
    let (agent, _client) = open_agent().await;
    let mut request = start("cat");
    request["stdin"] = json!(true);
    let mut events = Events::of(Call::stream("Start", &[request]).send(&agent).await);
    let pid = events.event().await["start"]["pid"].clone();
    let process = json!({"process": {"pid": pid}});
    let data = |text: &str| json!({"data": {"input": {"stdin": STANDARD.encode(text)}}});
    let messages = [json!({"start": process}), data("one "), json!({"keepalive": {}}), data("two")];
    let mut taken = Events::of(Call::stream("StreamInput", &messages).send(&agent).await);
    assert_eq!(taken.next().await, (0, json!({})));
    assert_eq!(taken.next().await, (2, json!({})));
    let (status, _) = answer(Call::unary("CloseStdin", &process).send(&agent).await).await;
    assert_eq!(status, StatusCode::OK);
    let (output, end) = events.rest().await;
    assert_eq!((output.as_str(), &end["exitCode"]), ("one two", &json!(0)));
}

#[tokio::test]
async fn what_cannot_be_started_is_told_at_the_end_of_the_stream() {
    if lacks_root() {
        return;
    }
    let (agent, _client) = open_agent().await;
    let cases = [
        (json!({"process": {"cmd": "no-such-program", "cwd": "/"}}), "not_found"),
        (json!({"process": {"cmd": "true", "cwd": "/no/such"}}), "invalid_argument"),
        (json!({"process": {"cmd": ""}}), "invalid_argument"),
        (json!({"process": {"cmd": "true", "cwd": "/"}, "tag": "../x"}), "invalid_argument"),
        (json!({"process": 7}), "invalid_argument"),
    ];
    for (request, code) in cases {
        let mut events =
            Events::of(Call::stream("Start", std::slice::from_ref(&request)).send(&agent).await);
        let (flags, trailer) = events.next().await;
        assert_eq!((flags, &trailer["error"]["code"]), (2, &json!(code)), "{request}: {trailer}");
    }
    let unary = Call { name: "Start", ..Call::unary("Start", &start("true")) };
    assert_eq!(unary.send(&agent).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let unknown = Call::unary("Reboot", &json!({}));
    assert_eq!(unknown.send(&agent).await.status(), StatusCode::NOT_IMPLEMENTED);
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_promise_p10() {
    if lacks_root() {
        return;
    }
    let (agent, _client) = open_agent().await;
    let body = vec![0, 0xff, 0xff, 0xff, 0xff, b'{'];
    let call = Call { body, ..Call::stream("Start", &[]) };
    let (flags, trailer) = Events::of(call.send(&agent).await).next().await;
    assert_eq!((flags, &trailer["error"]["code"]), (2, &json!("resource_exhausted")));
}
