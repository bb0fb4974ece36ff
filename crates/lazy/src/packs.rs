//! Where the packs are: signed URLs, and new ones when the store refuses them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chunks::{PackId, SecretUrl};
use tracing::{info, warn};

use crate::renewal::{MOST_PACKS, Renewal};

/// The URLs of all packs of a job.
#[derive(Debug)]
pub struct Packs {
    urls: Mutex<HashMap<PackId, SecretUrl>>,
    renewal: Option<Renewal>,
    /// Held while URLs are asked for: whoever finds another URL than was refused needs not ask.
    asking: tokio::sync::Mutex<()>,
}

impl Packs {
    /// Packs behind these URLs, renewed where somebody renews them.
    pub fn new(urls: HashMap<PackId, SecretUrl>, renewal: Option<Renewal>) -> Self {
        Self { urls: Mutex::new(urls), renewal, asking: tokio::sync::Mutex::new(()) }
    }

    /// The URL of a pack.
    pub fn url(&self, pack: &PackId) -> Option<SecretUrl> {
        self.urls().get(pack).cloned()
    }

    /// Sees to another URL than `refused`; false when there is none.
    pub async fn renew(&self, pack: &PackId, refused: &SecretUrl) -> bool {
        let Some(renewal) = &self.renewal else { return false };
        let _asking = self.asking.lock().await;
        let is_other = || self.url(pack).is_some_and(|url| url != *refused);
        if is_other() {
            return true;
        }
        let mut wanted = vec![*pack];
        wanted.extend(self.urls().keys().filter(|other| *other != pack).take(MOST_PACKS - 1));
        match renewal.ask(&wanted).await {
            Ok(signed) => {
                info!(packs = signed.len(), "URLs were signed anew");
                let mut urls = self.urls();
                for (pack, url) in signed {
                    if let Some(known) = urls.get_mut(&pack) {
                        *known = url;
                    }
                }
            }
            Err(error) => warn!(%pack, %error, "no URL was signed anew"),
        }
        is_other()
    }

    fn urls(&self) -> MutexGuard<'_, HashMap<PackId, SecretUrl>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
