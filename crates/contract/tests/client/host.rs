//! A host that serves the routes it is given, on a Unix socket or on TCP, until it is dropped.

use axum::Router;
use contract::client::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

pub(crate) struct Host {
    pub(crate) client: Client,
    server: JoinHandle<()>,
    _directory: Option<TempDir>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn on_unix(routes: Router) -> Host {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("computerd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Host { client: Client::unix(path), server, _directory: Some(directory) }
}

pub(crate) async fn on_tcp(routes: Router) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Host { client: Client::tcp(address.to_string()), server, _directory: None }
}

pub(crate) fn machine(id: &str) -> Value {
    json!({
        "id": id,
        "artifact": {
            "kernel_image_url": "http://images.example/kernel", "rootfs_url": "http://images.example/root",
        },
        "system_volume_id": format!("{id}-system"), "user_volume_ids": [], "runtime_host": "", "ports": [],
        "guest_ssh_host_public_key": "", "phase": "starting", "error": "", "created_at": "2026-11-24T23:17:00Z",
        "a_field_of_tomorrow": 1,
    })
}
