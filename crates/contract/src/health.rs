//! Whether a host answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer that a host gives while it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthAnswer {
    /// Always true: a host that is not well does not answer it.
    pub ok: bool,
}
