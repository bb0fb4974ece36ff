use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::routing::get;
use contract::Secret;
use engine::plan::Change;
use engine::record::PublishedPort;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stub::{Stub, a_machine, answer};
use crate::http::serve::{Listener, serve};
use crate::http::{ByHost, Token, by_host};

const PATIENCE: Duration = Duration::from_secs(10);
const TOKEN: &str = "0123456789abcdef";

/// A host with a machine that runs, `Box`, whose published port `web` leads to what listens here.
async fn host_and_guest() -> (Stub, TcpListener) {
    let host = Stub::new();
    assert_eq!(host.post("/machines?wait=running", &a_machine("Box")).await.status, 201);
    let guest = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = PublishedPort {
        id: "w.1".parse().unwrap(),
        machine: "Box".parse().unwrap(),
        name: Some("web".to_owned()),
        port: 8080,
        host_port: guest.local_addr().unwrap().port(),
        is_http: true,
        created_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let journal = &host.api.runner.host().journal;
    journal.apply(&Change::PublishedPortAdded { port }).await.unwrap();
    (host, guest)
}

fn led(host: &Stub, token: Option<Token>) -> Router {
    let relays = std::net::Ipv4Addr::LOCALHOST.into();
    by_host(host.router(), ByHost { api: host.api.clone(), relays, token })
}

fn request(host: &str) -> Request<Body> {
    let request = Request::get("/page?a=1").header("host", host);
    request.header("authorization", format!("Bearer {TOKEN}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn promise_p11_a_published_http_port_is_reached_by_name_and_never_sees_the_hosts_token() {
    let (host, guest) = host_and_guest().await;
    let echo = |uri: axum::http::Uri, headers: HeaderMap| async move {
        let header = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
        axum::Json(json!({
            "uri": uri.to_string(), "host": header("host"), "authorization": header("authorization"),
            "forwarded": header("x-forwarded-host"),
        }))
    };
    let serving = tokio::spawn(async move {
        axum::serve(guest, Router::new().route("/page", get(echo))).await.unwrap();
    });
    let token = Token::new(&Secret::new(TOKEN));
    let name = "WEB--box.computers.test:8443";
    let seen = answer(led(&host, Some(token)), request(name)).await;
    assert_eq!(seen.status, 200);
    assert_eq!(
        seen.json(),
        json!({"uri": "/page?a=1", "host": name, "authorization": null, "forwarded": name})
    );
    let own = answer(led(&host, None), request(name)).await.json();
    assert_eq!(own["authorization"], json!(format!("Bearer {TOKEN}")), "a guest's own passes");
    assert_eq!(answer(led(&host, None), request("8080--box.test")).await.code(), "not_found");
    let health = Request::get("/health").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(answer(led(&host, None), health).await.json(), json!({"ok": true}));
    assert_eq!(host.post("/machines/Box/stop", &json!({})).await.status, 204);
    assert_eq!(answer(led(&host, None), request(name)).await.code(), "unavailable");
    serving.abort();
}

#[tokio::test]
async fn an_upgrade_to_a_published_http_port_passes_and_carries_bytes_both_ways() {
    let (host, guest) = host_and_guest().await;
    let path = host.root.join("computerd.sock");
    let listener = Listener::unix(&path, None).unwrap();
    let ending = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, led(&host, None), 4, ending.clone()));
    let guest = async {
        let (mut stream, _) = guest.accept().await.unwrap();
        let asked = read_head(&mut stream).await;
        assert!(asked.contains("upgrade: websocket"), "{asked}");
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            .await
            .unwrap();
        let mut said = [0; 4];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
    };
    let client = async {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let asks = b"GET /chat HTTP/1.1\r\nhost: web--box\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(asks).await.unwrap();
        let answered = read_head(&mut stream).await;
        assert!(answered.starts_with("HTTP/1.1 101"), "{answered}");
        stream.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
    };
    timeout(PATIENCE, async { tokio::join!(guest, client) }).await.unwrap();
    ending.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
