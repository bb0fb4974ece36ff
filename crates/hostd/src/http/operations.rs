//! Operations over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use contract::operation::{OperationAnswer, OperationsAnswer, OperationsQuery};
use contract::{ErrorCode, OperationId};

use super::answer::{Answered, json};
use super::api::Api;
use super::decode::{Asked, At};
use super::encode;
use super::error::Failure;

pub(super) async fn list(State(api): State<Api>, Asked(query): Asked<OperationsQuery>) -> Answered {
    let journal = &api.host().journal;
    let records = match &query.key {
        Some(key) => journal.operation_by_key(key).await?.into_iter().collect(),
        None => journal.operations(api.limits.listed_operations).await?,
    };
    let operations = records.iter().map(encode::operation).collect();
    Ok(json(StatusCode::OK, OperationsAnswer { operations }))
}

pub(super) async fn show(State(api): State<Api>, At(id): At<OperationId>) -> Answered {
    let found = api.host().journal.operation(&id).await?;
    let record =
        found.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("no operation {id}")))?;
    Ok(json(StatusCode::OK, OperationAnswer { operation: encode::operation(&record) }))
}
