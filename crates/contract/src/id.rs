//! Identifiers, checked once where they come in.
//!
//! Paths, journal entries and answers are built from these types and never from text of a request. No identifier can be
//! `.` or `..` or hold a separator, a NUL or a line break, so each is safe as one component of a path (promise P1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier. The text itself is not repeated: it may be long or hold anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} is {rule}")]
pub struct IdError {
    kind: &'static str,
    rule: &'static str,
}

impl IdError {
    pub(crate) fn new(kind: &'static str, rule: &'static str) -> Self {
        Self { kind, rule }
    }
}

const MACHINE_RULE: &str =
    "1 to 64 letters, digits and '-', beginning and ending with a letter or digit";
const NAME_RULE: &str =
    "1 to 128 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";
const SESSION_RULE: &str =
    "1 to 64 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";
const OPERATION_RULE: &str = "26 characters of lower-case Crockford base 32";

fn is_machine_name(text: &str) -> bool {
    is_name(text, 64, |byte| byte == b'-')
}

fn is_resource_name(text: &str) -> bool {
    is_name(text, 128, |byte| matches!(byte, b'-' | b'_' | b'.'))
}

fn is_session_name(text: &str) -> bool {
    is_name(text, 64, |byte| matches!(byte, b'-' | b'_' | b'.'))
}

pub(crate) fn is_name(text: &str, longest: usize, inside: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    bytes.len() <= longest
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || inside(*byte))
}

/// Crockford's alphabet, <https://www.crockford.com/base32.html>, in lower case.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn is_operation_name(text: &str) -> bool {
    text.len() == 26
        && text.bytes().all(|byte| CROCKFORD.contains(&byte))
        && text.as_bytes()[0] <= b'7'
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:expr, $check:path, $pattern:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = $pattern, example = $example)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err(IdError::new($kind, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                if $check(&text) { Ok(Self(text)) } else { Err(IdError::new($kind, $rule)) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

identifier!(
    /// Names a machine. The rule is that of Firecracker's jailer, so that every VMM can use the name.
    MachineId, "machine id", MACHINE_RULE, is_machine_name,
    "^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$", "box-1"
);
identifier!(
    /// Names a snapshot.
    SnapshotId, "snapshot id", NAME_RULE, is_resource_name,
    "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?$", "box-1.before-upgrade"
);
identifier!(
    /// Names a volume.
    VolumeId, "volume id", NAME_RULE, is_resource_name,
    "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?$", "box-1-system"
);
identifier!(
    /// Names a published port.
    PublishedPortId, "published port id", NAME_RULE, is_resource_name,
    "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?$", "web"
);
identifier!(
    /// Names a mount.
    MountId, "mount id", NAME_RULE, is_resource_name,
    "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?$", "data"
);
identifier!(
    /// Names a command that runs or ran in a guest. Minted by the host.
    ExecSessionId, "session id", SESSION_RULE, is_session_name,
    "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?$", "01jdg6y3n8x4c2v9k7q5t1r0zb"
);
identifier!(
    /// Names an operation. Minted by the host; sorts by time of creation, as a ULID does.
    OperationId, "operation id", OPERATION_RULE, is_operation_name,
    "^[0-7][0-9a-hjkmnp-tv-z]{25}$", "01jdg6y3n8x4c2v9k7q5t1r0zb"
);

impl VolumeId {
    /// The system volume of a machine, `<machine>-system`.
    #[must_use]
    pub fn system_of(machine: &MachineId) -> Self {
        Self(format!("{machine}-system"))
    }

    /// The `number`th user volume of a restored machine, `<machine>-user-<number>`.
    #[must_use]
    pub fn user_of(machine: &MachineId, number: u32) -> Self {
        Self(format!("{machine}-user-{number}"))
    }

    /// The number of a user volume that a restore made for this machine; `None` for any other volume.
    #[must_use]
    pub fn user_number(&self, machine: &MachineId) -> Option<u32> {
        let number = self.0.strip_prefix(machine.as_str())?.strip_prefix("-user-")?;
        number.parse().ok().filter(|number| Self::user_of(machine, *number) == *self)
    }

    /// The label of the file system on it: as much of the id as ext4 keeps, 16 characters.
    #[must_use]
    pub fn label(&self) -> String {
        self.0.chars().take(16).collect()
    }
}

impl From<&OperationId> for ExecSessionId {
    /// A command is named as the operation that started it.
    fn from(operation: &OperationId) -> Self {
        Self(operation.to_string())
    }
}

impl OperationId {
    /// Mints an identifier from the milliseconds since the epoch (48 bits are kept) and 80 random bits.
    #[must_use]
    pub fn from_parts(millis: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        let number = u128::from_be_bytes(bytes);
        let text = (0..26).rev().map(|digit| {
            let five_bits = usize::try_from((number >> (5 * digit)) & 31).expect("five bits fit");
            char::from(CROCKFORD[five_bits])
        });
        Self(text.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Vec<String> {
        let mut cases: Vec<String> = [
            "", ".", "..", "a/../b", "../a", "/a", "a/b", "a\\b", "a\0", "a\n", "\na", "a b",
            "a:b", "%2e%2e", "é", "-a", "a-", ".a", "a.", "_a", "a_",
        ]
        .map(String::from)
        .into();
        cases.push("a".repeat(300));
        cases
    }

    #[test]
    fn promise_p1_hostile_identifiers_are_refused() {
        for text in hostile() {
            text.parse::<MachineId>().expect_err(&text);
            text.parse::<SnapshotId>().expect_err(&text);
            text.parse::<VolumeId>().expect_err(&text);
            text.parse::<PublishedPortId>().expect_err(&text);
            text.parse::<MountId>().expect_err(&text);
            text.parse::<ExecSessionId>().expect_err(&text);
            text.parse::<OperationId>().expect_err(&text);
        }
    }

    #[test]
    fn promise_p1_identifiers_in_json_are_checked_too() {
        for text in hostile() {
            let json = serde_json::to_string(&text).unwrap();
            serde_json::from_str::<MachineId>(&json).unwrap_err();
            serde_json::from_str::<SnapshotId>(&json).unwrap_err();
        }
    }

    #[test]
    fn machine_ids_hold_to_the_rule_of_the_jailer() {
        for text in ["a", "7", "box-1", "A--b", &"a".repeat(64)] {
            assert_eq!(text.parse::<MachineId>().unwrap().as_str(), text);
        }
        for text in ["a.b", "a_b", &"a".repeat(65)] {
            text.parse::<MachineId>().expect_err(text);
        }
    }

    #[test]
    fn other_ids_also_take_dots_and_underscores_inside() {
        for text in ["a", "a.b", "a_b", "a..b", &"a".repeat(128)] {
            assert_eq!(text.parse::<SnapshotId>().unwrap().as_str(), text);
        }
        "a".repeat(129).parse::<SnapshotId>().unwrap_err();
    }

    #[test]
    fn volumes_of_the_longest_machine_id_are_valid_ids() {
        let machine: MachineId = "m".repeat(64).parse().unwrap();
        for volume in [VolumeId::system_of(&machine), VolumeId::user_of(&machine, u32::MAX)] {
            assert_eq!(volume.as_str().parse::<VolumeId>().unwrap(), volume);
        }
        let machine: MachineId = "box".parse().unwrap();
        assert_eq!(VolumeId::system_of(&machine).as_str(), "box-system");
        assert_eq!(VolumeId::user_of(&machine, 1).as_str(), "box-user-1");
        assert_eq!(VolumeId::user_of(&machine, 12).user_number(&machine), Some(12));
        for other in ["box-user-01", "box-user-x", "box-system", "data", "box-1-user-1"] {
            assert_eq!(other.parse::<VolumeId>().unwrap().user_number(&machine), None, "{other}");
        }
        assert_eq!(
            "a-volume-with-a-long-id".parse::<VolumeId>().unwrap().label(),
            "a-volume-with-a-"
        );
    }

    #[test]
    fn operation_ids_are_valid_and_sort_by_time() {
        let zero = OperationId::from_parts(0, [0; 10]);
        assert_eq!(zero.as_str(), "00000000000000000000000000");
        let last = OperationId::from_parts((1 << 48) - 1, [0xff; 10]);
        assert_eq!(last.as_str(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        // The example of https://github.com/ulid/spec: 01ARYZ6S41 is the time 1469918176385.
        let known = OperationId::from_parts(1_469_918_176_385, [0; 10]);
        assert_eq!(&known.as_str()[..10], "01aryz6s41");
        assert!(zero < known && known < last);
        for id in [zero, known, last] {
            assert_eq!(id.as_str().parse::<OperationId>().unwrap(), id);
        }
    }
}
