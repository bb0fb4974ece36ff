//! An object store in memory, with as much of S3 as multipart uploads take.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket it has.
pub(crate) const BUCKET: &str = "backups";

#[derive(Default)]
pub(crate) struct Objects {
    pub(crate) whole: BTreeMap<String, Bytes>,
    /// Parts by upload, then by number.
    pub(crate) begun: BTreeMap<String, BTreeMap<u32, Bytes>>,
}

type Shared = Arc<Mutex<Objects>>;

pub(crate) struct Store {
    pub(crate) endpoint: String,
    pub(crate) objects: Shared,
    server: JoinHandle<()>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Store {
    pub(crate) async fn serve() -> Self {
        let objects = Shared::default();
        let routes = Router::new()
            .route("/backups/{*key}", any(answer))
            // Parts are larger than what axum takes by itself.
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&objects));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { endpoint, objects, server }
    }
}

async fn answer(
    State(objects): State<Shared>,
    method: Method,
    Path(key): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    assert!(query.contains_key("X-Amz-Signature"), "{method} {key} is not signed");
    let mut objects = objects.lock().unwrap();
    let upload = query.get("uploadId").cloned();
    match (method.as_str(), upload) {
        ("POST", None) => {
            let id = format!("upload-of-{key}");
            objects.begun.insert(id.clone(), BTreeMap::new());
            xml("InitiateMultipartUploadResult", &format!("<UploadId>{id}</UploadId>"))
        }
        ("PUT", Some(id)) => {
            let number: u32 = query["partNumber"].parse().unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("etag", format!("\"part-{number}\"").parse().unwrap());
            objects.begun.get_mut(&id).unwrap().insert(number, body);
            headers.into_response()
        }
        ("POST", Some(id)) => {
            let parts = objects.begun.remove(&id).unwrap();
            let names = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(names.matches("part-").count(), parts.len(), "{names}");
            let whole: Vec<u8> = parts.values().flat_map(|part| part.to_vec()).collect();
            objects.whole.insert(key, whole.into());
            xml("CompleteMultipartUploadResult", "<ETag>\"whole\"</ETag>")
        }
        ("DELETE", Some(id)) => {
            objects.begun.remove(&id);
            StatusCode::NO_CONTENT.into_response()
        }
        ("PUT", None) => {
            objects.whole.insert(key, body);
            StatusCode::OK.into_response()
        }
        ("GET", None) => match objects.whole.get(&key) {
            Some(object) => object.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        (other, _) => panic!("{other} {key}"),
    }
}

fn xml(name: &str, content: &str) -> Response {
    let space = "http://s3.amazonaws.com/doc/2006-03-01/";
    format!("<{name} xmlns=\"{space}\">{content}</{name}>").into_response()
}
