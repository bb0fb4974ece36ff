//! Whatever lies behind URLs: artifacts, and an object store with multipart uploads.

use std::collections::BTreeMap;

use contract::Sha256Hex;

use super::content::Content;

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What it holds.
    pub content: Content,
    /// Its size.
    pub size_bytes: u64,
}

/// A part of a multipart upload that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPart {
    /// Of what.
    pub content: Content,
    /// Where it began.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// How often it was sent.
    pub times_sent: u32,
}

/// The world behind URLs.
#[derive(Debug, Default)]
pub struct Objects {
    objects: BTreeMap<String, Object>,
    parts: BTreeMap<(String, u32), StoredPart>,
}

impl Objects {
    /// Puts an object behind a URL.
    pub fn put(&mut self, url: &str, object: Object) {
        self.objects.insert(url.to_owned(), object);
    }

    /// The object behind a URL.
    pub fn read(&self, url: &str) -> Option<&Object> {
        self.objects.get(url)
    }

    /// Whatever has this digest, wherever it lies.
    pub fn cut(&self, sha256: &Sha256Hex) -> Option<Content> {
        let mut objects = self.objects.values();
        objects.find(|it| it.content.sha256() == *sha256).map(|it| it.content.clone())
    }

    /// A part arrives; its ETag. Sent again it replaces the one before.
    pub fn put_part(
        &mut self,
        upload_id: &str,
        number: u32,
        content: &Content,
        (offset_bytes, size_bytes): (u64, u64),
    ) -> String {
        let key = (upload_id.to_owned(), number);
        let times_sent = self.parts.get(&key).map_or(1, |part| part.times_sent + 1);
        let part = StoredPart { content: content.clone(), offset_bytes, size_bytes, times_sent };
        self.parts.insert(key, part);
        format!("etag-{upload_id}-{number}")
    }

    /// All parts of an upload, by number.
    pub fn parts(&self, upload_id: &str) -> Vec<(u32, StoredPart)> {
        self.parts
            .iter()
            .filter(|((id, _), _)| id == upload_id)
            .map(|((_, number), part)| (*number, part.clone()))
            .collect()
    }
}
