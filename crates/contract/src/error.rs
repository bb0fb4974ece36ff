//! Errors on the wire: one table of codes and statuses.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::forgiving;
use crate::id::OperationId;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:ident;)+) => {
        /// What went wrong, in a word that programs decide on. Codes are added, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)+
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The status with which it is answered.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }
        }
    };
}

error_codes! {
    /// The request cannot be read.
    Malformed = "malformed", BAD_REQUEST;
    /// The caller did not say who it is, or not truly.
    Unauthenticated = "unauthenticated", UNAUTHORIZED;
    /// The caller may not do this.
    Forbidden = "forbidden", FORBIDDEN;
    /// There is no such thing.
    NotFound = "not_found", NOT_FOUND;
    /// The path does not take this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The id is taken.
    Exists = "exists", CONFLICT;
    /// Another operation holds what this one needs.
    Busy = "busy", CONFLICT;
    /// The machine is in a phase in which this cannot be done.
    WrongState = "wrong_state", CONFLICT;
    /// Something else still needs it.
    InUse = "in_use", CONFLICT;
    /// The guest has no agent.
    NoAgent = "no_agent", CONFLICT;
    /// The operation with this idempotency key has not committed yet.
    InProgress = "in_progress", CONFLICT;
    /// The content is no longer of the expected version.
    VersionMismatch = "version_mismatch", CONFLICT;
    /// The machine would have stood still for longer than the caller allows; it runs on.
    PauseExceeded = "pause_exceeded", CONFLICT;
    /// The request is longer than is read.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE;
    /// The range lies outside of the artifact.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE;
    /// The request is well formed and is refused.
    Refused = "refused", UNPROCESSABLE_ENTITY;
    /// The idempotency key was used for another request.
    KeyReused = "key_reused", UNPROCESSABLE_ENTITY;
    /// What should be restored cannot be verified.
    Unverifiable = "unverifiable", UNPROCESSABLE_ENTITY;
    /// The bytes are not those of the digest.
    DigestMismatch = "digest_mismatch", UNPROCESSABLE_ENTITY;
    /// The snapshot does not fit this host, its VMM or its CPU.
    Incompatible = "incompatible", UNPROCESSABLE_ENTITY;
    /// The snapshot is quarantined.
    Quarantined = "quarantined", UNPROCESSABLE_ENTITY;
    /// Something is exhausted for the moment; try again later.
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS;
    /// The host made a mistake.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// An object store or a URL failed.
    Upstream = "upstream", BAD_GATEWAY;
    /// The host cannot do this now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE;
    /// It took longer than it may.
    Deadline = "deadline", GATEWAY_TIMEOUT;
    /// There is no room for it.
    NoRoom = "no_room", INSUFFICIENT_STORAGE;
}

impl ErrorCode {
    /// After how long the same request may succeed, where it makes sense to repeat it: the `Retry-After` of the answer.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        matches!(self, Self::InProgress | Self::TooManyRequests | Self::Unavailable)
            .then_some(Duration::from_secs(1))
    }
}

/// Written out: a derive sees the variants of a macro, and not what they are called on the wire.
impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("What went wrong, in a word that programs decide on."))
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

impl ToSchema for ErrorCode {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// The operation that failed, where one exists.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub operation_id: Option<OperationId>,
    /// What a command that ran out of time had written.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = PartialOutputFields)]
    pub partial: Option<PartialOutput>,
}

/// The fields of [`PartialOutput`] where there may be none of them: how a flattened `Option` is described.
#[derive(ToSchema)]
#[schema(as = PartialOutput)]
#[expect(dead_code, reason = "it only describes")]
struct PartialOutputFields {
    /// Its standard output so far.
    stdout: Option<String>,
    /// Its standard error so far.
    stderr: Option<String>,
    /// How long it ran.
    duration_ms: Option<u64>,
}

/// What a command had written when its time ran out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialOutput {
    /// Its standard output so far.
    pub stdout: String,
    /// Its standard error so far.
    pub stderr: String,
    /// How long it ran.
    pub duration_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_code_is_written_as_it_is_named() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_body_carries_only_what_there_is() {
        let body = ErrorBody {
            error: "no machine box".into(),
            code: ErrorCode::NotFound,
            operation_id: None,
            partial: None,
        };
        let json = json!({"error": "no machine box", "code": "not_found"});
        assert_eq!(serde_json::to_value(&body).unwrap(), json);
        assert_eq!(serde_json::from_value::<ErrorBody>(json).unwrap(), body);
    }

    #[test]
    fn a_deadline_carries_what_was_written_until_then() {
        let json = json!({
            "error": "the command ran out of time", "code": "deadline",
            "operation_id": "01aryz6s410000000000000000",
            "stdout": "half", "stderr": "", "duration_ms": 30_000
        });
        let body: ErrorBody = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(body.partial.as_ref().unwrap().stdout, "half");
        assert_eq!(body.code.status(), 504);
        assert_eq!(serde_json::to_value(&body).unwrap(), json);
    }
}
