//! An object store of packs, which fails and lies as a test wishes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::{get, post};
use camino::{Utf8Path, Utf8PathBuf};
use chunks::PackId;
use chunks::chunked::{FormDocument, pack_name};
use serde::Deserialize;
use tempfile::TempDir;

use crate::scene::cut;

/// What the store does with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Gives it.
    Honest,
    /// Flips a bit of it.
    Flips,
    /// Ends early.
    Truncates,
    /// Gives the bytes in another order.
    Swaps,
    /// Says another range than was asked for.
    WrongRange,
    /// Gives the bytes of the same range of another pack.
    Mixes,
    /// Answers 503.
    Fails,
    /// Breaks off after half of the body, every second time.
    Stutters,
    /// Answers 403 to URLs whose signature is not the newest.
    Expired,
}

/// The store, as the test sees it.
#[derive(Debug)]
pub(crate) struct Store {
    /// What the packs are cut of.
    pub(crate) content: Vec<u8>,
    /// Where each chunk is.
    pub(crate) document: FormDocument,
    set: TempDir,
    conduct: Mutex<Conduct>,
    requests: AtomicU64,
    /// Times that URLs were asked for.
    pub(crate) renewals: AtomicU64,
    /// Bytes sent.
    pub(crate) sent_bytes: AtomicU64,
    address: String,
}

#[derive(Deserialize)]
struct Signature {
    signature: String,
}

impl Store {
    /// Starts one that lives as long as the runtime.
    pub(crate) async fn start(content: Vec<u8>) -> Arc<Self> {
        let set = TempDir::new().expect("a directory");
        let document = cut(&content, &set_of(&set));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let store = Arc::new(Self {
            content,
            document,
            set,
            requests: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            conduct: Mutex::new(Conduct::Honest),
            sent_bytes: AtomicU64::new(0),
            address,
        });
        let router = Router::new()
            .route("/packs/{pack}", get(give))
            .route("/renew", post(renew))
            .with_state(Arc::clone(&store));
        tokio::spawn(async move { axum::serve(listener, router).await });
        store
    }

    /// Behaves differently from now on.
    pub(crate) fn behave(&self, conduct: Conduct) {
        *self.conduct.lock().unwrap_or_else(PoisonError::into_inner) = conduct;
    }

    fn conduct(&self) -> Conduct {
        *self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the set lies.
    pub(crate) fn dir(&self) -> Utf8PathBuf {
        set_of(&self.set)
    }

    /// The URL of a pack, with a signature.
    pub(crate) fn url(&self, pack: &PackId, signature: &str) -> String {
        format!("http://{}/packs/{}?signature={signature}", self.address, pack_name(pack))
    }

    /// Where URLs are signed anew.
    pub(crate) fn renewal_url(&self) -> String {
        format!("http://{}/renew", self.address)
    }
}

fn set_of(dir: &TempDir) -> Utf8PathBuf {
    Utf8Path::from_path(dir.path()).expect("plain").join("set")
}

#[derive(Deserialize)]
struct Question {
    pack_ids: Vec<PackId>,
}

async fn renew(
    State(store): State<Arc<Store>>,
    axum::Json(question): axum::Json<Question>,
) -> String {
    store.renewals.fetch_add(1, Ordering::Relaxed);
    let signed = question.pack_ids.iter().map(|pack| {
        let url = store.url(pack, "new");
        format!("{{\"pack_id\":\"{pack}\",\"download_url\":\"{url}\"}}")
    });
    format!("{{\"packs\":[{}]}}", signed.collect::<Vec<_>>().join(","))
}

async fn give(
    State(store): State<Arc<Store>>,
    Path(pack): Path<String>,
    Query(Signature { signature }): Query<Signature>,
    headers: HeaderMap,
) -> Response<Body> {
    let conduct = store.conduct();
    let status = |status| Response::builder().status(status).body(Body::empty()).expect("built");
    match conduct {
        Conduct::Fails => return status(StatusCode::SERVICE_UNAVAILABLE),
        Conduct::Expired if signature != "new" => return status(StatusCode::FORBIDDEN),
        _ => {}
    }
    let object = std::fs::read(store.dir().join(&pack)).expect("a pack");
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (first, last) = range
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        .expect("a range is asked for");
    let (first, last): (usize, usize) =
        (first.parse().expect("a number"), last.parse().expect("a number"));
    let mut bytes = object[first..=last].to_vec();
    let mut said = first;
    let request = store.requests.fetch_add(1, Ordering::Relaxed);
    match conduct {
        Conduct::Flips => bytes[100] ^= 4,
        Conduct::Truncates => bytes.truncate(bytes.len() / 2),
        Conduct::Stutters if request % 2 == 0 => bytes.truncate(bytes.len() / 2),
        Conduct::Swaps => bytes.reverse(),
        Conduct::Mixes => {
            let others = store.document.packs.iter().map(|entry| pack_name(&entry.id));
            let other = others.into_iter().find(|name| *name != pack).expect("two packs");
            let other = std::fs::read(store.dir().join(other)).expect("a pack");
            let there = other.len().saturating_sub(first).min(bytes.len());
            bytes[..there].copy_from_slice(&other[first..first + there]);
        }
        Conduct::WrongRange => said += 4096,
        Conduct::Honest | Conduct::Stutters | Conduct::Fails | Conduct::Expired => {}
    }
    store.sent_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let total = object.len();
    Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_RANGE, format!("bytes {said}-{}/{total}", said + last - first))
        .body(Body::from(bytes))
        .expect("built")
}
