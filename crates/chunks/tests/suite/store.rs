//! An object store on loopback that keeps what is put, and fails or lies when told to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use chunks::{SecretUrl, Sha256Digest};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tokio_util::task::AbortOnDropHandle;

/// What the store does instead of serving, once.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, with a header if given, and an S3 error body.
    Status(u16, Option<(&'static str, String)>),
    /// The right headers, then a broken connection after so many bytes of body.
    Cut(usize),
    /// No answer at all, for longer than anybody waits.
    Silence,
    /// A stored part without its ETag.
    NoEtag,
    /// The whole object whatever was asked for.
    IgnoreRange,
    /// A Content-Range one byte further on.
    ShiftRange,
    /// So many bytes more than asked for, without a Content-Length.
    Longer(usize),
    /// One bit of the body is wrong.
    FlipBit,
    /// A redirect.
    Redirect(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) body_bytes: usize,
}

#[derive(Default)]
struct Objects {
    stored: HashMap<String, Bytes>,
    faults: HashMap<String, VecDeque<Fault>>,
    seen: Vec<Seen>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Objects>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().expect("no test thread panicked")
    }
}

pub(crate) struct Store {
    shared: Shared,
    address: std::net::SocketAddr,
    _server: AbortOnDropHandle<()>,
}

pub(crate) async fn start() -> Store {
    let shared = Shared::default();
    let router = Router::new().fallback(serve).with_state(shared.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        axum::serve(listener, router).await.expect("the store serves");
    });
    Store { shared, address, _server: AbortOnDropHandle::new(server) }
}

impl Store {
    /// A URL whose query is a secret.
    pub(crate) fn url(&self, key: &str) -> SecretUrl {
        format!("http://{}/{key}?X-Amz-Signature=5ec7e7", self.address).parse().expect("a URL")
    }

    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) {
        self.shared.lock().stored.insert(format!("/{key}"), bytes.into());
    }

    pub(crate) fn stored(&self, key: &str) -> Option<Bytes> {
        self.shared.lock().stored.get(&format!("/{key}")).cloned()
    }

    pub(crate) fn fail(&self, key: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().faults.entry(format!("/{key}")).or_default().extend(faults);
    }

    /// Serves this object rightly from now on.
    pub(crate) fn heal(&self, key: &str) {
        self.shared.lock().faults.remove(&format!("/{key}"));
    }

    /// Every request so far, in order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    pub(crate) fn requests(&self, key: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == format!("/{key}")).count()
    }
}

pub(crate) fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &Sha256Digest::of(bytes).to_string()[..32])
}

async fn serve(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let path = uri.path().to_owned();
    let fault = shared.lock().faults.get_mut(&path).and_then(VecDeque::pop_front);
    match &fault {
        Some(Fault::Silence) => std::future::pending().await,
        // Answered without reading the body, as stores do.
        Some(Fault::Status(status, header)) => {
            see(&shared, &method, &path, &headers, 0);
            return refuse(*status, header.clone());
        }
        Some(Fault::Redirect(location)) => {
            see(&shared, &method, &path, &headers, 0);
            let response = Response::builder().status(302).header(header::LOCATION, location);
            return response.body(Body::empty()).expect("a response");
        }
        _ => {}
    }
    let length: Option<usize> =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return refuse(400, None);
    };
    see(&shared, &method, &path, &headers, bytes.len());
    match method {
        Method::PUT if length != Some(bytes.len()) => refuse(411, None),
        Method::PUT => {
            let response = Response::builder().status(200);
            let response = match fault {
                Some(Fault::NoEtag) => response,
                _ => response.header(header::ETAG, etag(&bytes)),
            };
            shared.lock().stored.insert(path, bytes);
            response.body(Body::empty()).expect("a response")
        }
        _ => {
            let object = shared.lock().stored.get(&path).cloned();
            match object {
                Some(object) => deliver(object, &headers, fault),
                None => refuse(404, None),
            }
        }
    }
}

fn see(shared: &Shared, method: &Method, path: &str, headers: &HeaderMap, body_bytes: usize) {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
    let (method, path) = (method.clone(), path.to_owned());
    shared.lock().seen.push(Seen { method, path, range, body_bytes });
}

fn refuse(status: u16, header: Option<(&'static str, String)>) -> Response {
    let body = "<Error><Code>Refused</Code><Message>as told</Message><Sign>5ec7e7</Sign></Error>";
    let mut response = Response::builder().status(status);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).expect("a response")
}

fn deliver(object: Bytes, headers: &HeaderMap, fault: Option<Fault>) -> Response {
    let total = object.len();
    let range =
        headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?.min(total - 1)))
        });
    let range = range.filter(|_| !matches!(fault, Some(Fault::IgnoreRange)));
    let (mut response, mut body) = match range {
        Some((first, last)) if first > last => return refuse(416, None),
        Some((first, last)) => {
            let shift = usize::from(matches!(fault, Some(Fault::ShiftRange)));
            let range = format!("bytes {}-{}/{total}", first + shift, last + shift);
            let response = Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, range);
            (response, object.slice(first..=last))
        }
        None => (Response::builder().status(200), object),
    };
    match fault {
        Some(Fault::Cut(after)) => {
            response = response.header(header::CONTENT_LENGTH, body.len());
            let start = body.slice(..after.min(body.len()));
            let broken = || Err(std::io::Error::other("cut"));
            let pieces = stream::iter([Ok(start)]).chain(stream::once(async move {
                // Let what came before reach the wire.
                tokio::task::yield_now().await;
                broken()
            }));
            return response.body(Body::from_stream(pieces)).expect("a response");
        }
        Some(Fault::Longer(more)) => {
            let pieces = [Ok::<_, std::io::Error>(body), Ok(Bytes::from(vec![7; more]))];
            return response.body(Body::from_stream(stream::iter(pieces))).expect("a response");
        }
        Some(Fault::FlipBit) => {
            let mut flipped = body.to_vec();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            body = flipped.into();
        }
        _ => {}
    }
    response.body(Body::from(body)).expect("a response")
}
