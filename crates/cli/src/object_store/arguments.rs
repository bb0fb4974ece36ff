//! Which object store, on the command line.

use clap::Args;
use rusty_s3::UrlStyle;
use url::Url;

use super::BucketUrl;

/// How an object store is reached. Credentials come from the environment alone (promise P11).
#[derive(Debug, Clone, Args)]
#[command(
    next_help_heading = "Object store (credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)"
)]
pub(crate) struct StoreSettings {
    /// The store's address, when it is not Amazon's.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub(crate) endpoint: Option<Url>,
    /// The store's region.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
}

/// Where in which object store snapshots go.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArguments {
    /// How the store is reached.
    #[command(flatten)]
    pub(crate) settings: StoreSettings,
    /// Where snapshots are: s3://BUCKET or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "S3-URL")]
    pub(crate) bucket: BucketUrl,
}

/// Where in which object store a snapshot is, if it is in one.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestoreStoreArguments {
    /// How the store is reached.
    #[command(flatten)]
    pub(crate) settings: StoreSettings,
    /// Where snapshots are: s3://BUCKET or s3://BUCKET/PREFIX. Without it, on this host.
    #[arg(long, value_name = "S3-URL")]
    pub(crate) bucket: Option<BucketUrl>,
}

/// Where a store answers, and whether its buckets are in the path or in the name of the host.
pub(super) struct Endpoint {
    pub(super) url: Result<Url, url::ParseError>,
    pub(super) style: UrlStyle,
}

impl StoreSettings {
    /// Amazon's endpoint of the region unless another one is given; others seldom have a name for each bucket.
    pub(super) fn endpoint(&self) -> Endpoint {
        match &self.endpoint {
            Some(url) => Endpoint { url: Ok(url.clone()), style: UrlStyle::Path },
            None => Endpoint {
                url: format!("https://s3.{}.amazonaws.com", self.region).parse(),
                style: UrlStyle::VirtualHost,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_has_a_host_for_each_bucket_and_others_a_path() {
        let amazon = StoreSettings { endpoint: None, region: "eu-central-1".into() }.endpoint();
        assert_eq!(amazon.url.unwrap().as_str(), "https://s3.eu-central-1.amazonaws.com/");
        assert!(matches!(amazon.style, UrlStyle::VirtualHost));
        let endpoint = Some("http://127.0.0.1:9000".parse().unwrap());
        let other = StoreSettings { endpoint, region: "us-east-1".into() }.endpoint();
        assert!(matches!(other.style, UrlStyle::Path));
    }
}
