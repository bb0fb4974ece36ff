//! Changes of files that carry an idempotency key: each is made once, and its answer is kept and answered again.
//!
//! ```text
//!  key under way? -> 409      key committed? -> the first answer
//!      no                         no
//!      v                          v
//!  [ change, in the guest -> an operation that records its answer ]   on a task of its own
//! ```
//! A daemon that dies between the two has not committed, and a repeated request is run anew, as the contract says of every operation.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use contract::operation::IdempotencyKey;
use contract::{ErrorCode, MachineId};
use engine::plan::{self, Change};
use serde::Serialize;

use crate::http::answer::{Answered, json, of_operation};
use crate::http::api::Api;
use crate::http::decode::Origin;
use crate::http::error::Failure;
use crate::http::mutate::{Decision, Outcome};

/// The keys of changes under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Keys(Arc<Mutex<HashSet<IdempotencyKey>>>);

/// A key under way, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    keys: Keys,
    key: IdempotencyKey,
}

impl Keys {
    pub(super) fn enter(&self, key: &IdempotencyKey) -> Result<UnderWay, Failure> {
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        if is_first {
            return Ok(UnderWay { keys: self.clone(), key: key.clone() });
        }
        let reason = "the request with this key is under way";
        Err(Failure::new(ErrorCode::InProgress, reason))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Api {
    /// Answers what was changed; with a key it is recorded first.
    pub(super) async fn changed(
        &self,
        id: MachineId,
        origin: Origin,
        answer: impl Serialize,
    ) -> Answered {
        if origin.key.is_none() {
            return Ok(of_operation(&self.mint.operation_id(), json(StatusCode::OK, answer)));
        }
        let answer = serde_json::to_value(answer)
            .map_err(|error| Failure::new(ErrorCode::Internal, format!("an answer: {error}")))?;
        let plan = move |facts: &plan::Facts<'_>| {
            Ok(Decision::from(plan::files::changed(&id, answer, facts)))
        };
        answer_of(self.mutate(origin, plan).await?)
    }
}

/// What the guest answered when the change was made.
pub(super) fn answer_of(outcome: Outcome) -> Answered {
    match outcome.change {
        Some(Change::FilesChanged { answer, .. }) => {
            Ok(of_operation(&outcome.operation, json(StatusCode::OK, answer)))
        }
        _ => {
            let failure = Failure::new(ErrorCode::Internal, "the operation changed no files");
            Err(failure.of(&outcome.operation))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_under_way_once_at_a_time() {
        let keys = Keys::default();
        let key: IdempotencyKey = "once".parse().unwrap();
        let first = keys.enter(&key).unwrap();
        assert_eq!(keys.enter(&key).unwrap_err().code, ErrorCode::InProgress);
        drop(first);
        drop(keys.enter(&key).unwrap());
    }
}
