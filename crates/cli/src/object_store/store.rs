//! One bucket: what is asked of it here, and what is signed for the daemon.

use std::time::Duration;

use bytes::Bytes;
use contract::location::PresignedUrl;
use reqwest::{Client, Method};
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload, ListObjectsV2};
use rusty_s3::{Bucket, BucketError, Credentials, S3Action};
use url::Url;

use super::arguments::{Endpoint, StoreSettings};
use super::error::StoreError;
use super::http::{StoreRequest, client, send};
use super::location::BucketUrl;

/// For how long a URL is signed that is used at once.
const AT_ONCE: Duration = Duration::from_secs(600);
/// For how long a URL is signed that the daemon uses: as long as a transfer may take.
const FOR_A_TRANSFER: Duration = contract::client::TRANSFER;

/// A multipart upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MultipartUpload {
    /// Of which object.
    pub(crate) key: String,
    /// What the store calls it.
    pub(crate) upload_id: String,
}

/// One bucket of an object store.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    bucket: Bucket,
    credentials: Credentials,
    http: Client,
}

impl ObjectStore {
    /// The bucket that the arguments name, with the credentials of the environment.
    pub(crate) fn open(arguments: &StoreSettings, bucket: &BucketUrl) -> Result<Self, StoreError> {
        let credentials = Credentials::from_env().ok_or(StoreError::NoCredentials)?;
        let Endpoint { url, style } = arguments.endpoint();
        let url = url.map_err(|error| StoreError::Bucket(BucketError::ParseError(error)))?;
        let bucket = Bucket::new(url, style, bucket.bucket().to_owned(), arguments.region.clone())
            .map_err(StoreError::Bucket)?;
        Ok(Self { bucket, credentials, http: client()? })
    }

    /// Reads a small object.
    pub(crate) async fn read(&self, key: &str) -> Result<Bytes, StoreError> {
        let url = self.bucket.get_object(Some(&self.credentials), key).sign(AT_ONCE);
        self.ask("read", Method::GET, key, url, Bytes::new()).await
    }

    /// Writes a small object.
    pub(crate) async fn write(&self, key: &str, body: Vec<u8>) -> Result<(), StoreError> {
        let url = self.bucket.put_object(Some(&self.credentials), key).sign(AT_ONCE);
        self.ask("write", Method::PUT, key, url, body.into()).await.map(drop)
    }

    /// Signs the reading of an object.
    pub(crate) fn sign_read(&self, key: &str) -> Result<PresignedUrl, StoreError> {
        presigned(key, self.bucket.get_object(Some(&self.credentials), key).sign(FOR_A_TRANSFER))
    }

    /// Signs the writing of a whole object.
    pub(crate) fn sign_write(&self, key: &str) -> Result<PresignedUrl, StoreError> {
        presigned(key, self.bucket.put_object(Some(&self.credentials), key).sign(FOR_A_TRANSFER))
    }

    /// The keys of all objects beneath a prefix.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (action, mut keys, mut token) = ("list", Vec::new(), None);
        loop {
            let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
            list.with_prefix(prefix.to_owned());
            if let Some(token) = token.take() {
                list.with_continuation_token(token);
            }
            let url = list.sign(AT_ONCE);
            let answer = self.ask(action, Method::GET, prefix, url, Bytes::new()).await?;
            let text = String::from_utf8_lossy(&answer);
            let page = ListObjectsV2::parse_response(&text)
                .map_err(|_| StoreError::Answer { action, key: prefix.to_owned() })?;
            keys.extend(page.contents.into_iter().map(|object| object.key));
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Begins the writing of a large object.
    pub(crate) async fn begin(&self, key: String) -> Result<MultipartUpload, StoreError> {
        let action = "begin to write";
        let url = self.bucket.create_multipart_upload(Some(&self.credentials), &key).sign(AT_ONCE);
        let answer = self.ask(action, Method::POST, &key, url, Bytes::new()).await?;
        let upload_id = std::str::from_utf8(&answer)
            .ok()
            .and_then(|text| CreateMultipartUpload::parse_response(text).ok())
            .map(|answer| answer.upload_id().to_owned())
            .filter(|upload_id| !upload_id.is_empty());
        match upload_id {
            Some(upload_id) => Ok(MultipartUpload { key, upload_id }),
            None => Err(StoreError::Answer { action, key }),
        }
    }

    /// Signs the writing of one part.
    pub(crate) fn sign_part(
        &self,
        upload: &MultipartUpload,
        part_number: u16,
    ) -> Result<PresignedUrl, StoreError> {
        let MultipartUpload { key, upload_id } = upload;
        let part = self.bucket.upload_part(Some(&self.credentials), key, part_number, upload_id);
        presigned(key, part.sign(FOR_A_TRANSFER))
    }

    /// Ends the writing of a large object, given the etags of its parts in order.
    pub(crate) async fn complete(
        &self,
        upload: &MultipartUpload,
        etags: &[String],
    ) -> Result<(), StoreError> {
        let MultipartUpload { key, upload_id } = upload;
        let action = "complete";
        let etags = etags.iter().map(String::as_str);
        let complete =
            self.bucket.complete_multipart_upload(Some(&self.credentials), key, upload_id, etags);
        let url = complete.sign(AT_ONCE);
        let answer = self.ask(action, Method::POST, key, url, complete.body().into()).await?;
        // A store may answer 200 and say in the body that it failed.
        let text = String::from_utf8_lossy(&answer);
        match CompleteMultipartUploadResponse::parse(&text) {
            Ok(_) => Ok(()),
            Err(_) if answer.is_empty() => Ok(()),
            Err(_) => Err(StoreError::Answer { action, key: key.clone() }),
        }
    }

    /// Gives the writing of a large object up, so that its parts take no room.
    pub(crate) async fn abort(&self, upload: &MultipartUpload) -> Result<(), StoreError> {
        let MultipartUpload { key, upload_id } = upload;
        let abort = self.bucket.abort_multipart_upload(Some(&self.credentials), key, upload_id);
        match self.ask("give up", Method::DELETE, key, abort.sign(AT_ONCE), Bytes::new()).await {
            Err(error) if !error.is_absent() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn ask(
        &self,
        action: &'static str,
        method: Method,
        key: &str,
        url: Url,
        body: Bytes,
    ) -> Result<Bytes, StoreError> {
        let request = StoreRequest { action, method, key: key.to_owned(), url, body };
        send(&self.http, &request).await
    }
}

fn presigned(key: &str, url: Url) -> Result<PresignedUrl, StoreError> {
    url.try_into().map_err(|source| StoreError::Sign { key: key.to_owned(), source })
}
