//! Changes of files that carry an idempotency key: each is made once, and its answer is kept and answered again.
//!
//! ```text
//!  key under way? -> 409      key committed? -> the first answer
//!      no                         no
//!      v                          v
//!  [ change, in the guest -> an operation that records its answer ]   on a task of its own
//! ```
//! A daemon that dies between the two has not committed, and a repeated request is run anew, as the contract says of every operation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use contract::operation::{IdempotencyKey, Operation, OperationKind, OperationState};
use contract::{ErrorCode, MachineId, OperationId, Sha256Hex};
use engine::plan::{self, Change};
use jiff::Timestamp;
use serde::Serialize;

use crate::http::answer::{Answered, json, of_operation};
use crate::http::api::Api;
use crate::http::decode::Origin;
use crate::http::error::Failure;
use crate::http::mutate::{Decision, Outcome};

/// The keys of changes under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Keys(Arc<Mutex<HashMap<IdempotencyKey, Pending>>>);

/// A change that is not recorded yet: what its operation will be called, and what is known of its request.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) operation: OperationId,
    pub(super) machine: MachineId,
    /// Of a request whose body streams in: known at its end only.
    pub(super) sha256: Option<Sha256Hex>,
    pub(super) since: Timestamp,
}

/// A key under way, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    keys: Keys,
    key: IdempotencyKey,
    operation: OperationId,
}

impl Keys {
    fn enter(&self, key: &IdempotencyKey, pending: Pending) -> Result<UnderWay, Failure> {
        let mut keys = self.lock();
        if let Some(first) = keys.get(key) {
            return Err(first.refusal(&pending));
        }
        let operation = pending.operation.clone();
        keys.insert(key.clone(), pending);
        Ok(UnderWay { keys: self.clone(), key: key.clone(), operation })
    }

    /// The operations that are to be, as callers see them: they run.
    pub(in crate::http) fn operations(&self) -> Vec<Operation> {
        self.lock().iter().map(|(key, pending)| pending.shown(key)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IdempotencyKey, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Why another request with the same key is not let in.
    fn refusal(&self, other: &Self) -> Failure {
        let differs =
            matches!((&self.sha256, &other.sha256), (Some(first), Some(other)) if first != other);
        let (code, reason) = if differs {
            (ErrorCode::KeyReused, "this idempotency key was used for another request")
        } else {
            (ErrorCode::InProgress, "the request with this key is under way")
        };
        Failure::new(code, reason).of(&self.operation)
    }

    fn shown(&self, key: &IdempotencyKey) -> Operation {
        Operation {
            id: self.operation.clone(),
            kind: OperationKind::ChangeFiles,
            key: Some(key.clone()),
            state: OperationState::Running,
            resource_id: self.machine.to_string(),
            status: None,
            error: None,
            started_at: self.since,
            ended_at: None,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.key);
    }
}

impl Api {
    /// Notes that a change with this key is under way. `sha256` is that of the request, where it is known before its end.
    pub(super) fn enter_change(
        &self,
        machine: &MachineId,
        key: &IdempotencyKey,
        sha256: Option<Sha256Hex>,
    ) -> Result<UnderWay, Failure> {
        let (operation, since) = (self.mint.operation_id(), self.host().clock.now());
        let pending = Pending { operation, machine: machine.clone(), sha256, since };
        self.file_keys.enter(key, pending)
    }

    /// Answers what was changed without a key: it is not recorded.
    pub(super) fn changed(&self, answer: impl Serialize) -> Answered {
        Ok(of_operation(&self.mint.operation_id(), json(StatusCode::OK, answer)))
    }

    /// Records what was changed under the name that it was given when it began, and answers it.
    pub(super) async fn changed_once(
        &self,
        under_way: UnderWay,
        id: MachineId,
        origin: Origin,
        answer: impl Serialize,
    ) -> Answered {
        let answer = serde_json::to_value(answer)
            .map_err(|error| Failure::new(ErrorCode::Internal, format!("an answer: {error}")))?;
        let plan = move |facts: &plan::Facts<'_>| {
            Ok(Decision::from(plan::files::changed(&id, answer, facts)))
        };
        answer_of(self.mutate_as(under_way.operation.clone(), origin, plan).await?)
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
    use engine::testing::operation;

    use super::*;

    fn pending(number: u8, body: Option<u8>) -> Pending {
        Pending {
            operation: operation(number),
            machine: "box".parse().unwrap(),
            sha256: body.map(|body| Sha256Hex::from_bytes(&[body; 32])),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_key_is_under_way_once_at_a_time_and_the_others_are_told_by_which_operation() {
        let keys = Keys::default();
        let key: IdempotencyKey = "once".parse().unwrap();
        let first = keys.enter(&key, pending(1, Some(7))).unwrap();
        let shown = keys.operations();
        assert_eq!(
            (shown.len(), &shown[0].id, shown[0].state),
            (1, &operation(1), OperationState::Running)
        );
        for (body, code) in [
            (Some(7), ErrorCode::InProgress),
            (None, ErrorCode::InProgress),
            (Some(8), ErrorCode::KeyReused),
        ] {
            let refused = keys.enter(&key, pending(2, body)).unwrap_err();
            assert_eq!((refused.code, refused.operation), (code, Some(operation(1))));
        }
        drop(first);
        assert!(keys.operations().is_empty());
        drop(keys.enter(&key, pending(2, None)).unwrap());
    }
}
