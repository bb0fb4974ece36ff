//! Operations over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use contract::operation::{Operation, OperationAnswer, OperationsAnswer, OperationsQuery};
use contract::{ErrorCode, OperationId};

use super::answer::{Answered, json};
use super::api::Api;
use super::decode::{Asked, At};
use super::encode;
use super::error::Failure;

pub(super) async fn list(State(api): State<Api>, Asked(query): Asked<OperationsQuery>) -> Answered {
    let journal = &api.host().journal;
    // Before the journal is read: what is recorded in between is seen twice rather than not at all.
    let pending = api.file_keys.operations();
    let records = match &query.key {
        Some(key) => journal.operation_by_key(key).await?.into_iter().collect(),
        None => journal.operations(api.limits.listed_operations).await?,
    };
    let recorded: Vec<_> = records.iter().map(encode::operation).collect();
    let is_asked = |operation: &Operation| query.key.is_none() || operation.key == query.key;
    let mut operations: Vec<_> = pending.into_iter().filter(is_asked).collect();
    operations.retain(|one| recorded.iter().all(|other| other.id != one.id));
    operations.extend(recorded);
    Ok(json(StatusCode::OK, OperationsAnswer { operations }))
}

pub(super) async fn show(State(api): State<Api>, At(id): At<OperationId>) -> Answered {
    let pending = api.file_keys.operations().into_iter().find(|operation| operation.id == id);
    let found = api.host().journal.operation(&id).await?;
    let operation = found.as_ref().map(encode::operation).or(pending);
    let operation =
        operation.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("no operation {id}")))?;
    Ok(json(StatusCode::OK, OperationAnswer { operation }))
}
