//! The host itself over HTTP.

use axum::Json;
use contract::health::HealthAnswer;

pub(super) async fn health() -> Json<HealthAnswer> {
    Json(HealthAnswer { ok: true })
}
