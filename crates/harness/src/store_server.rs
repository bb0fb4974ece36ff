//! A real S3-compatible object store on loopback, and the URLs that a control plane would sign for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use camino::Utf8Path;
use contract::artifact::{ArtifactId, SnapshotArtifact};
use contract::upload::{ArtifactUpload, UploadPart, UploadSnapshotRequest, UploadedArtifact};
use contract::{PresignedUrl, SnapshotId};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rusty_s3::actions::{CreateMultipartUpload, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::HarnessError;
use crate::line::Line;

/// For how long a signed URL is good.
const SIGNED: Duration = Duration::from_secs(3600);
const ACCESS_KEY: &str = "harness";
const SECRET_KEY: &str = "a secret of the harness";
const BUCKET: &str = "snapshots";

/// The object store. It serves until it is dropped.
#[derive(Debug)]
pub struct StoreServer {
    address: SocketAddr,
    bucket: Bucket,
    credentials: Credentials,
    http: reqwest::Client,
    server: JoinHandle<()>,
}

impl StoreServer {
    /// Serves what lies in `dir`, with one bucket, on loopback.
    pub async fn start(dir: &Utf8Path) -> Result<Self, HarnessError> {
        Self::start_at(dir, Ipv4Addr::LOCALHOST).await
    }

    /// The same at the end of a line: what is signed leads through it.
    pub async fn start_behind(dir: &Utf8Path, line: &Line) -> Result<Self, HarnessError> {
        let store = Self::listening(dir, Ipv4Addr::LOCALHOST, Some(line.address())).await?;
        line.lead_to(store.address);
        Ok(store)
    }

    /// The same on another address of this host, such as one that guests can be let to.
    pub async fn start_at(dir: &Utf8Path, address: Ipv4Addr) -> Result<Self, HarnessError> {
        Self::listening(dir, address, None).await
    }

    async fn listening(
        dir: &Utf8Path,
        address: Ipv4Addr,
        signed: Option<SocketAddr>,
    ) -> Result<Self, HarnessError> {
        let made = std::fs::create_dir_all(dir.join(BUCKET));
        made.map_err(HarnessError::io(format!("make {dir}")))?;
        let files = FileSystem::new(dir.as_std_path())
            .map_err(|error| failed("open the store", format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind((address, 0))
            .await
            .map_err(HarnessError::io(format!("listen on {address}")))?;
        let address =
            listener.local_addr().map_err(HarnessError::io("name the store's address"))?;
        let url = format!("http://{}", signed.unwrap_or(address));
        let url = url.parse().map_err(|error| HarnessError::value(url.clone(), error))?;
        let bucket = Bucket::new(url, UrlStyle::Path, BUCKET, "us-east-1")
            .map_err(|error| failed("name the bucket", error))?;
        // Whoever links other crypto providers too has chosen one already.
        drop(rustls::crypto::ring::default_provider().install_default());
        Ok(Self {
            address,
            bucket,
            credentials: Credentials::new(ACCESS_KEY, SECRET_KEY),
            http: reqwest::Client::new(),
            server: tokio::spawn(serve(listener, builder.build())),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The environment by which the AWS tools, and ours, find it and log in.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.into()),
        ]
    }

    /// `s3://bucket`.
    pub fn bucket_url(&self) -> String {
        format!("s3://{BUCKET}")
    }

    /// Begins a multipart upload of each artifact and signs its parts, as a control plane does.
    pub async fn sign_upload(
        &self,
        snapshot: &SnapshotId,
        artifacts: &[SnapshotArtifact],
        part_bytes: u64,
    ) -> Result<UploadSnapshotRequest, HarnessError> {
        let mut signed = Vec::new();
        for artifact in artifacts {
            signed.push(self.sign_artifact(snapshot, artifact, part_bytes).await?);
        }
        Ok(UploadSnapshotRequest { artifacts: signed })
    }

    async fn sign_artifact(
        &self,
        snapshot: &SnapshotId,
        artifact: &SnapshotArtifact,
        part_bytes: u64,
    ) -> Result<ArtifactUpload, HarnessError> {
        let object_key = key(snapshot, artifact.id);
        let create = self.bucket.create_multipart_upload(Some(&self.credentials), &object_key);
        let answer = self.text(self.http.post(create.sign(SIGNED))).await?;
        let upload = CreateMultipartUpload::parse_response(&answer)
            .map_err(|error| failed("begin an upload", error))?;
        let upload_id = upload.upload_id().to_owned();
        let count = artifact.size_bytes.div_ceil(part_bytes).max(1);
        let parts = (0..count)
            .map(|index| {
                let part_number = u16::try_from(index + 1)
                    .map_err(|error| HarnessError::value("a part number", error))?;
                let action = self.bucket.upload_part(
                    Some(&self.credentials),
                    &object_key,
                    part_number,
                    &upload_id,
                );
                let offset_bytes = index * part_bytes;
                Ok(UploadPart {
                    part_number: u32::from(part_number),
                    offset_bytes,
                    size_bytes: part_bytes.min(artifact.size_bytes - offset_bytes),
                    upload_url: presigned(action.sign(SIGNED))?,
                })
            })
            .collect::<Result<Vec<_>, HarnessError>>()?;
        Ok(ArtifactUpload { artifact_id: artifact.id, object_key, upload_id, parts })
    }

    /// Completes each upload with the ETags that the daemon answered.
    pub async fn complete(
        &self,
        request: &UploadSnapshotRequest,
        uploaded: &[UploadedArtifact],
    ) -> Result<(), HarnessError> {
        for upload in &request.artifacts {
            let done = uploaded.iter().find(|done| done.artifact_id == upload.artifact_id);
            let parts = done.map(|done| done.completed_parts.as_slice()).unwrap_or_default();
            let etags = parts.iter().map(|part| part.etag.as_str());
            let action = self.bucket.complete_multipart_upload(
                Some(&self.credentials),
                &upload.object_key,
                &upload.upload_id,
                etags,
            );
            let url = action.sign(SIGNED);
            self.text(self.http.post(url).body(action.body())).await?;
        }
        Ok(())
    }

    /// What a restore elsewhere is told: each artifact with its sum and a signed URL.
    pub fn sign_download(
        &self,
        snapshot: &SnapshotId,
        artifacts: &[SnapshotArtifact],
    ) -> Result<Vec<SnapshotArtifact>, HarnessError> {
        let sign = |artifact: &SnapshotArtifact| {
            let object_key = key(snapshot, artifact.id);
            let action = self.bucket.get_object(Some(&self.credentials), &object_key);
            Ok(SnapshotArtifact {
                download_url: Some(presigned(action.sign(SIGNED))?),
                object_key: Some(object_key),
                ..artifact.clone()
            })
        };
        artifacts.iter().map(sign).collect()
    }

    /// Signs the writing of a whole object.
    pub fn sign_put(&self, key: &str) -> Result<PresignedUrl, HarnessError> {
        presigned(self.bucket.put_object(Some(&self.credentials), key).sign(SIGNED))
    }

    /// Signs the reading of an object.
    pub fn sign_get(&self, key: &str) -> Result<PresignedUrl, HarnessError> {
        presigned(self.bucket.get_object(Some(&self.credentials), key).sign(SIGNED))
    }

    /// Puts other bytes where an artifact lies.
    pub async fn replace(
        &self,
        snapshot: &SnapshotId,
        artifact: ArtifactId,
        bytes: Vec<u8>,
    ) -> Result<(), HarnessError> {
        let object_key = key(snapshot, artifact);
        let action = self.bucket.put_object(Some(&self.credentials), &object_key);
        self.text(self.http.put(action.sign(SIGNED)).body(bytes)).await.map(drop)
    }

    /// The bytes of an artifact, as the store has them.
    pub async fn read(
        &self,
        snapshot: &SnapshotId,
        artifact: ArtifactId,
    ) -> Result<Vec<u8>, HarnessError> {
        let object_key = key(snapshot, artifact);
        let action = self.bucket.get_object(Some(&self.credentials), &object_key);
        let answer = self.http.get(action.sign(SIGNED)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let bytes = answer.map_err(|error| failed("read an object", error))?.bytes().await;
        Ok(bytes.map_err(|error| failed("read an object", error))?.to_vec())
    }

    async fn text(&self, request: reqwest::RequestBuilder) -> Result<String, HarnessError> {
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| failed("ask the store", error))?;
        answer.text().await.map_err(|error| failed("ask the store", error))
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    let http = Builder::new(TokioExecutor::new());
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the store ended badly");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

fn key(snapshot: &SnapshotId, artifact: ArtifactId) -> String {
    format!("{snapshot}/{}", artifact.file_name())
}

fn presigned(url: url::Url) -> Result<PresignedUrl, HarnessError> {
    url.try_into().map_err(|error| HarnessError::value("a signed URL", error))
}

fn failed(action: &'static str, reason: impl ToString) -> HarnessError {
    HarnessError::Store { action, reason: reason.to_string() }
}
