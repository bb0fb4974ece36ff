use std::os::unix::fs::PermissionsExt;

use axum::body::Body;
use axum::http::Request;
use contract::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::stub::{Stub, answer};
use crate::http::serve::{Listener, serve};
use crate::http::{Token, router};

#[tokio::test]
async fn promise_p11_the_tcp_listener_answers_only_to_its_token() {
    let host = Stub::new();
    let token = Token::new(&Secret::new("0123456789abcdef"));
    let router = router::guarded(host.router(), token);
    for (shown, status) in [
        (None, 401),
        (Some("Bearer 0123456789abcdeX"), 401),
        (Some("Bearer "), 401),
        (Some("Basic 0123456789abcdef"), 401),
        (Some("Bearer 0123456789abcdef"), 200),
        (Some("bearer 0123456789abcdef"), 200),
    ] {
        for path in ["/health", "/machines"] {
            let mut request = Request::get(path);
            if let Some(shown) = shown {
                request = request.header("authorization", shown);
            }
            let answer = answer(router.clone(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, status, "{shown:?} {path}");
        }
    }
    let nowhere = Request::get("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(answer(router, nowhere).await.status, 401, "nor is it told what there is");
}

#[tokio::test]
async fn promise_p11_the_socket_is_its_group_s_and_one_left_behind_is_replaced() {
    let host = Stub::new();
    let path = host.root.join("computerd.sock");
    drop(Listener::unix(&path, None).unwrap());
    let listener = Listener::unix(&path, None).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    let ending = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, host.router(), 4, ending.clone()));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).contains("{\"ok\":true}"));
    // An idle connection is closed, and the listener ends.
    ending.cancel();
    assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
    serving.await.unwrap();
}
