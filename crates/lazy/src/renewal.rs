//! Asks the caller of a restore for URLs signed anew.
//!
//! ```text
//! POST <renewal URL>   {"pack_ids": ["..."]}   the refused one first, then others of the same age
//! 200                  {"packs": [{"pack_id": "...", "download_url": "https://..."}]}
//! ```

use std::time::Duration;

use chunks::{PackId, SecretUrl};
use serde::{Deserialize, Serialize};

/// Longest wait for an answer: a guest waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer read: a thousand URLs of 4 KiB.
const MAXIMUM_BYTES: usize = 4 * 1024 * 1024;

/// Most packs asked for at once.
pub const MOST_PACKS: usize = 1000;

/// Where URLs are signed anew.
#[derive(Debug)]
pub struct Renewal {
    http: reqwest::Client,
    url: SecretUrl,
    endpoint: url::Url,
}

/// Why there is no URL.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The endpoint is no URL.
    #[error("the renewal URL is none")]
    Endpoint,
    /// The client could not be made.
    #[error("make the HTTP client")]
    Client(#[source] reqwest::Error),
    /// It did not answer.
    #[error("ask {url}")]
    Ask {
        /// Whom.
        url: SecretUrl,
        /// How it failed, without the URL.
        source: reqwest::Error,
    },
    /// It answered with something else than URLs.
    #[error("{url} answered with no URLs, status {status}")]
    Answer {
        /// Who.
        url: SecretUrl,
        /// Its status.
        status: u16,
    },
}

#[derive(Serialize)]
struct Question<'a> {
    pack_ids: &'a [PackId],
}

#[derive(Deserialize)]
struct Answer {
    packs: Vec<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    pack_id: PackId,
    download_url: String,
}

impl Renewal {
    /// Asks at `endpoint`. Redirects are not followed.
    ///
    /// # Errors
    /// When it is no URL, or the client cannot be made.
    pub fn new(endpoint: &str) -> Result<Self, RenewalError> {
        let url: SecretUrl = endpoint.parse().map_err(|_| RenewalError::Endpoint)?;
        let endpoint = endpoint.parse().map_err(|_| RenewalError::Endpoint)?;
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(RenewalError::Client)?;
        Ok(Self { http, url, endpoint })
    }

    /// New URLs of these packs, [`MOST_PACKS`] at most; whoever answers may leave some out.
    ///
    /// # Errors
    /// When no answer that is understood comes in time.
    pub async fn ask(&self, packs: &[PackId]) -> Result<Vec<(PackId, SecretUrl)>, RenewalError> {
        let failed = |source: reqwest::Error| RenewalError::Ask {
            url: self.url.clone(),
            source: source.without_url(),
        };
        let question = self.http.post(self.endpoint.clone()).json(&Question { pack_ids: packs });
        let mut response = question.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&piece);
            if body.len() > MAXIMUM_BYTES {
                break;
            }
        }
        let wrong = || RenewalError::Answer { url: self.url.clone(), status };
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| wrong())?;
        let signed = answer.packs.into_iter().take(MOST_PACKS);
        signed
            .map(|pack| Ok((pack.pack_id, pack.download_url.parse().map_err(|_| wrong())?)))
            .collect()
    }
}
