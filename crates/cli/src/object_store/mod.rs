//! An object store, for users without a control plane: this program signs, the daemon moves the bytes.
//!
//! Credentials stay here, in the environment that AWS's own tools use. The daemon only ever sees URLs that were signed for one
//! object, or one part of one, and for a limited time.

mod arguments;
mod error;
mod http;
mod location;
mod store;

pub(crate) use arguments::{RestoreStoreArguments, StoreArguments};
pub(crate) use error::StoreError;
pub(crate) use location::BucketUrl;

pub(crate) use store::{MultipartUpload, ObjectStore};
