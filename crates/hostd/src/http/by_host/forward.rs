//! One request, sent on to a port, and its answer brought back.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use contract::ErrorCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tracing::debug;

use crate::http::error::Failure;

/// How long the relay, on this host, may take to accept.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Headers that are about one connection and not about the request (RFC 9110, 7.6.1), but for those of an upgrade.
const HOP_BY_HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// Sends a request on. What the guest does with the connection is its own affair: it has the relay's limits.
pub(super) async fn forward(target: SocketAddr, mut request: Request) -> Result<Response, Failure> {
    let failed = |what: &str| Failure::new(ErrorCode::Upstream, format!("the guest {what}"));
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(target));
    let stream = match connecting.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) | Err(_) => return Err(failed("is not relayed to at the moment")),
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) =
        handshake.await.map_err(|_| failed("ended the connection at once"))?;
    // It ends with the answer's body, or with the relay.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            debug!(%error, "a connection to a published port ended");
        }
    });

    let upgrade = wanted_upgrade(request.headers());
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    mend(request.headers_mut(), upgrade.as_ref());
    note_origin(&mut request);
    *request.version_mut() = Version::HTTP_11;
    let answer = sender.send_request(request).await;
    let mut answer = answer.map_err(|_| failed("does not answer in HTTP"))?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = client else { return Err(failed("switched protocols unasked")) };
        let guest = hyper::upgrade::on(&mut answer);
        tokio::spawn(carry(client, guest));
        return Ok(answer.map(Body::new));
    }
    mend(answer.headers_mut(), None);
    Ok(answer.map(Body::new))
}

/// Carries bytes both ways once both sides have switched.
async fn carry(client: OnUpgrade, guest: OnUpgrade) {
    let carried = async {
        let (client, guest) = tokio::try_join!(client, guest).map_err(std::io::Error::other)?;
        copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(guest)).await
    };
    if let Err(error) = carried.await {
        debug!(%error, "an upgraded connection to a published port ended");
    }
}

/// The protocol that the client wants to switch to.
fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let tokens = headers.get_all(header::CONNECTION).iter();
    let mut tokens = tokens.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
    let is_wanted = tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| is_wanted).cloned()
}

/// Takes out what is about one connection only, and puts in the upgrade where there is one.
fn mend(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP).chain(&[header::CONNECTION, header::UPGRADE]) {
        headers.remove(name);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade.clone());
    }
}

/// Tells the guest by which name it was reached; what a client says of that is not believed.
fn note_origin(request: &mut Request) {
    let host = request.headers().get(header::HOST).cloned();
    let headers = request.headers_mut();
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    match host {
        Some(host) => headers.insert("x-forwarded-host", host),
        None => headers.remove("x-forwarded-host"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_one_connection_stays_behind_and_an_upgrade_passes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Own, Upgrade"),
            ("upgrade", "websocket"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("cookie", "a=b"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let upgrade = wanted_upgrade(&headers);
        assert_eq!(upgrade.as_ref().unwrap(), "websocket");
        mend(&mut headers, upgrade.as_ref());
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "cookie", "upgrade"]);
        mend(&mut headers, None);
        assert_eq!(headers.len(), 1);
    }
}
