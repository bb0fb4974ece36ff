//! Machines that run before their memory and disks are here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::artifact::ArtifactId;
use crate::forgiving;
use crate::location::PresignedUrl;

/// How memory and disks come while the machine runs already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LazyRestore {
    /// Where URLs that the store refuses are asked for anew.
    pub renewal_url: Option<PresignedUrl>,
    /// What an earlier restore of the snapshot touched first, in order.
    pub working_set: Vec<Touched>,
}

/// Neighbouring chunks of an artifact, as its chunked form cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Touched {
    /// Which artifact.
    pub artifact: ArtifactId,
    /// The first chunk.
    pub first_chunk: u64,
    /// How many.
    pub chunk_count: u64,
}

/// How far the files of a machine are that are filled while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FillingState {
    /// Chunks are missing.
    Filling,
    /// They are plain local files.
    Full,
    /// A chunk that the guest waited for could not be had: the machine failed.
    Lost,
}

/// The filling of a machine that was restored lazily.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Filling {
    /// How far it is.
    pub state: FillingState,
    /// Bytes still to be fetched, uncompressed; absent while they are not counted yet.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub missing_bytes: Option<u64>,
    /// Which chunk is lost, and why.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason: Option<String>,
    /// What the guest touched first, in order, so far: the `working_set` of later restores of this snapshot.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub touched: Vec<Touched>,
}

/// The answer that holds a filling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FillingAnswer {
    /// The filling.
    pub filling: Filling,
}
