//! The chunked form of a snapshot: its files cut at fixed sizes, each different chunk once, compressed, optionally
//! sealed with a tenant's key, in packs of a few MiB, and one document that says where everything is.
//!
//! ```text
//!   files --cut--> chunk --zero?--> a hole
//!                        --known?--> a reference into a pack that is there already
//!                        --alike?--> what differs from the chunk at the same place of the parent
//!                        --else----> a frame of its own
//!   frames --append--> <set>/<pack>.pack    the document --last--> <set>/chunked.json
//! ```
//! A **set** is a directory with what one writing added. The document of a set names every pack that its snapshot is
//! made of, those of older sets too: reading follows no chain, and a chunk that is told by its difference is told by
//! the difference to a whole chunk, never to another difference.
//!
//! Nothing here is trusted because of where it lies: a pack is its own BLAKE3, and every chunk is compared with the
//! digest that the document gives it before anybody sees it (promise P6). All of it blocks.

mod builder;
mod check;
mod document;
mod error;
mod fetched;
mod frame;
mod key;
mod known;
mod pack;
mod places;
mod read;
mod source;
mod spans;
mod write;

pub use check::{FormCheck, SetCheck, check_form, check_set, prune_set};
pub use document::{
    DocumentError, FormDocument, FormFile, PackEntry, RunOfChunks, WrittenDocument,
};
pub use error::{ChunkProblem, ChunkedError};
pub use fetched::keep_document;
pub use key::{KeyError, TenantKey};
pub use known::{Known, KnownSet};
pub use pack::{PackProblem, verify_pack};
pub use places::{ChunkPlace, Indices, Places};
pub use read::FormReader;
pub use source::{DirectorySource, PackSource, pack_name};
pub use spans::{FetchedSpans, Span};
pub use write::{FileToCut, FormRequest, FormTotals, WrittenForm, write_form};

/// The name of the document in a set.
pub const DOCUMENT_NAME: &str = "chunked.json";
