//! Sealing at rest: AES-256-GCM per chunk under a key that is itself sealed with the tenant's.
//!
//! ```text
//!   tenant key --derive--> wrapping key  --seals--> data key of a set, kept in the document
//!              --derive--> identity key  --keys---> the BLAKE3 by which chunks are named
//!   data key   --seals--> frames
//! ```
//! Names of chunks are keyed too: a digest of a guess tells nothing, and chunks are shared within one tenant only.
//! Without the tenant's key nothing of a sealed form can be read but sizes and counts.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::digest::Blake3Digest;

const KEY_BYTES: usize = 32;
const WRAPPING: &str = "computer-host 2026 chunked form wrapping key v1";
const IDENTITY: &str = "computer-host 2026 chunked form chunk identity v1";
const NAME: &str = "computer-host 2026 chunked form key name v1";

/// A key that does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 32 bytes.
    #[error("a tenant key has 32 bytes")]
    Length,
    /// The form is sealed and no key was given.
    #[error("the form is sealed: its key is needed")]
    Missing,
    /// Another tenant's key, or bytes that were changed.
    #[error("the form was sealed with another key")]
    Wrong,
    /// The system gives no random bytes.
    #[error("no random bytes for a key")]
    Random,
}

/// The key that a tenant gives with each request. Never kept, never shown.
#[derive(Clone)]
pub struct TenantKey {
    bytes: [u8; KEY_BYTES],
}

impl TenantKey {
    /// The key of these 32 bytes, which should be random.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { bytes: bytes.try_into().map_err(|_| KeyError::Length)? })
    }

    /// A name by which the same key is known again; tells nothing of the key.
    pub fn name(&self) -> String {
        hex::encode(&blake3::derive_key(NAME, &self.bytes)[..16])
    }

    pub(super) fn identity(&self) -> [u8; KEY_BYTES] {
        blake3::derive_key(IDENTITY, &self.bytes)
    }

    fn wrapping(&self) -> DataKey {
        DataKey::of(&blake3::derive_key(WRAPPING, &self.bytes))
    }

    /// A new data key, and how it is kept.
    pub(super) fn mint(&self) -> Result<(DataKey, String), KeyError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
        let sealed = self.wrapping().seal(WRAPPING.as_bytes(), bytes.to_vec())?;
        Ok((DataKey::of(&bytes), STANDARD_NO_PAD.encode(sealed)))
    }

    /// The data key that is kept as this text.
    pub(super) fn unwrap_key(&self, text: &str) -> Result<DataKey, KeyError> {
        let sealed = STANDARD_NO_PAD.decode(text).map_err(|_| KeyError::Wrong)?;
        let bytes = self.wrapping().open(WRAPPING.as_bytes(), &sealed).ok_or(KeyError::Wrong)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| KeyError::Wrong)?;
        Ok(DataKey::of(&bytes))
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TenantKey(..)")
    }
}

/// By what chunks are named: BLAKE3, keyed where the form is sealed.
#[derive(Clone, Copy)]
pub(super) struct Naming(Option<[u8; KEY_BYTES]>);

impl Naming {
    pub(super) fn of(key: Option<&TenantKey>) -> Self {
        Self(key.map(TenantKey::identity))
    }

    pub(super) fn name(&self, bytes: &[u8]) -> Blake3Digest {
        match &self.0 {
            Some(key) => Blake3Digest::from_bytes(*blake3::keyed_hash(key, bytes).as_bytes()),
            None => Blake3Digest::of(bytes),
        }
    }
}

/// The key that seals the frames of one set.
pub(super) struct DataKey(LessSafeKey);

impl DataKey {
    fn of(bytes: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("an AES-256 key has 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// The nonce, random, before the sealed bytes. 96 random bits meet twice after 2^32 frames at odds of 2^-33; a set
    /// has a key of its own.
    pub(super) fn seal(&self, context: &[u8], mut bytes: Vec<u8>) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::Random)?;
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut bytes,
            )
            .map_err(|_| KeyError::Random)?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut bytes);
        Ok(sealed)
    }

    /// The bytes again, if they are those that were sealed in this context.
    pub(super) fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = rest.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(context), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_key_is_never_shown_and_only_it_opens_promise_p11() {
        let key = TenantKey::new(&[7; 32]).expect("a key");
        assert_eq!(format!("{key:?}"), "TenantKey(..)");
        let (data, kept) = key.mint().expect("minted");
        assert!(!kept.contains(&STANDARD_NO_PAD.encode([7; 32])));
        let sealed = data.seal(b"here", b"a chunk".to_vec()).expect("sealed");
        let again = key.unwrap_key(&kept).expect("unwrapped");
        assert_eq!(again.open(b"here", &sealed).as_deref(), Some(&b"a chunk"[..]));
        assert!(again.open(b"there", &sealed).is_none());
        let other = TenantKey::new(&[8; 32]).expect("a key");
        assert!(matches!(other.unwrap_key(&kept), Err(KeyError::Wrong)));
        assert_ne!(other.name(), key.name());
        assert_eq!(TenantKey::new(&[1; 31]).err(), Some(KeyError::Length));
    }
}
