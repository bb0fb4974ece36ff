//! The error every port returns: what was tried, on what, and whose fault it is.

use std::error::Error as StdError;

/// Whose fault a failed effect is. It decides the status of the answer; message text never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Ours or the machine's: 500.
    Internal,
    /// An object store or a URL did not do its part: 502.
    Upstream,
    /// Well formed but refused, such as bytes that do not match their digest: 422.
    Refused,
    /// Something took longer than its deadline: 504.
    Deadline,
    /// No room on the disk or in memory: 507.
    NoRoom,
    /// What was asked for is not there: 404.
    Absent,
    /// It cannot be had at the moment: 503.
    Unavailable,
    /// A machine would have stood still for longer than the caller allows: 409.
    PauseExceeded,
}

/// A failed effect. `Display` names the operation and its object; `source` holds the cause.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct PortError {
    /// What was tried and on what, in words: `clone disk a to b`.
    pub action: String,
    /// Whose fault it is.
    pub fault: Fault,
    /// The cause, where there is one.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl PortError {
    /// A failure of our own, with its cause.
    pub fn internal(
        action: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let fault = if is_full(source.as_ref()) { Fault::NoRoom } else { Fault::Internal };
        Self { action: action.into(), fault, source: Some(source) }
    }

    /// An error of the given kind without a cause beneath it.
    pub fn plain(fault: Fault, action: impl Into<String>) -> Self {
        Self { action: action.into(), fault, source: None }
    }

    /// An I/O error: a full disk is [`Fault::NoRoom`], a missing file [`Fault::Absent`], the rest internal.
    pub fn io(action: impl Into<String>, source: std::io::Error) -> Self {
        let fault = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Fault::NoRoom,
            std::io::ErrorKind::NotFound => Fault::Absent,
            std::io::ErrorKind::TimedOut => Fault::Deadline,
            _ => Fault::Internal,
        };
        Self { action: action.into(), fault, source: Some(source.into()) }
    }

    /// The whole chain in one line, outermost first, for records and logs.
    pub fn chain(&self) -> String {
        let mut text = self.action.clone();
        let mut next: Option<&(dyn StdError + 'static)> =
            self.source.as_deref().map(|source| source as &(dyn StdError + 'static));
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

/// Whether a full disk or quota is what lies beneath (P13: the caller is told that there is no room).
fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("sync the disk")]
    struct Beneath(#[source] std::io::Error);

    #[test]
    fn a_full_disk_is_no_room_however_deep_it_lies_promise_p13() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(PortError::internal("seal", full()).fault, Fault::NoRoom);
        assert_eq!(PortError::internal("seal", Beneath(full())).fault, Fault::NoRoom);
        let other = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert_eq!(PortError::internal("seal", Beneath(other)).fault, Fault::Internal);
    }
}
