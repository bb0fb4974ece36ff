//! `s3://bucket/prefix`: where in an object store snapshots are.

use std::fmt;
use std::str::FromStr;

use contract::PackId;
use contract::id::SnapshotId;

/// A bucket and a prefix within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BucketUrl {
    bucket: String,
    // Without slashes at its ends.
    prefix: String,
}

/// Why a text is not where snapshots are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a bucket is given as s3://BUCKET or s3://BUCKET/PREFIX")]
pub(crate) struct InvalidBucketUrl;

impl BucketUrl {
    /// The bucket.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What the key of every pack begins with. No snapshot is named so: its files are not packs.
    pub(crate) fn packs_prefix(&self) -> String {
        if self.prefix.is_empty() { "packs/".into() } else { format!("{}/packs/", self.prefix) }
    }

    /// The key of a pack, which all snapshots of this prefix share.
    pub(crate) fn pack_key(&self, pack: &PackId) -> String {
        format!("{}{pack}.pack", self.packs_prefix())
    }

    /// The key of one file of a snapshot.
    pub(crate) fn key(&self, snapshot: &SnapshotId, file_name: &str) -> String {
        if self.prefix.is_empty() {
            format!("{snapshot}/{file_name}")
        } else {
            format!("{}/{snapshot}/{file_name}", self.prefix)
        }
    }
}

impl FromStr for BucketUrl {
    type Err = InvalidBucketUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBucketUrl> {
        let rest = text.strip_prefix("s3://").ok_or(InvalidBucketUrl)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        let is_prefix = prefix.is_empty()
            || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."))
                && !prefix.chars().any(char::is_control);
        if is_bucket && is_prefix {
            Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
        } else {
            Err(InvalidBucketUrl)
        }
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_beneath_the_prefix_and_the_snapshot() {
        let snapshot = "s.1".parse().unwrap();
        for (text, key) in [
            ("s3://bucket", "s.1/memory.bin"),
            ("s3://bucket/", "s.1/memory.bin"),
            ("s3://bucket/a/b/", "a/b/s.1/memory.bin"),
        ] {
            let url: BucketUrl = text.parse().unwrap();
            assert_eq!(url.bucket(), "bucket");
            assert_eq!(url.key(&snapshot, "memory.bin"), key);
        }
    }

    #[test]
    fn what_is_no_place_in_a_store_is_refused() {
        let texts = ["", "bucket", "s3://", "s3:///a", "s3://ab", "s3://b?q=1", "https://bucket/a"];
        for text in
            texts.into_iter().chain(["s3://bucket/a//b", "s3://bucket/../a", "s3://bucket/a\nb"])
        {
            text.parse::<BucketUrl>().expect_err(text);
        }
    }
}
