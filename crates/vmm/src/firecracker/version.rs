//! Versions of Firecracker: how they are read, and which are refused.

use std::fmt;
use std::str::FromStr;

/// A version, such as `1.15.1` or `1.17.0-dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: (u32, u32, u32),
    text: String,
}

/// Older ones wrote diffs of more than 3 GiB of memory wrongly.
const OLDEST: (u32, u32, u32) = (1, 15, 0);

/// Versions in between that must not run guests, and why.
const KNOWN_BAD: [((u32, u32, u32), &str); 2] = [
    ((1, 16, 0), "its vsock is dead after a pause and a resume without a snapshot"),
    ((1, 16, 1), "its vsock is dead after a pause and a resume without a snapshot"),
];

impl Version {
    /// Why guests must not run under this version, if they must not.
    pub fn objection(&self) -> Option<String> {
        let (major, minor, patch) = OLDEST;
        if self.numbers < OLDEST {
            return Some(format!(
                "version {self} is older than {major}.{minor}.{patch}, and wrote snapshots of more than 3 GiB of memory wrongly"
            ));
        }
        let known = KNOWN_BAD.iter().find(|(numbers, _)| *numbers == self.numbers);
        known
            .filter(|_| !self.text.contains('-'))
            .map(|(_, reason)| format!("version {self} is known to be bad: {reason}"))
    }

    /// Major, minor and patch: what versions are ordered by.
    pub fn numbers(&self) -> (u32, u32, u32) {
        self.numbers
    }

    /// From what `--version` prints: `<name> v<version>` on its first line.
    pub(super) fn said_by(name: &str, output: &str) -> Option<Self> {
        output.lines().next()?.strip_prefix(name)?.strip_prefix(" v")?.trim().parse().ok()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of Firecracker")]
pub struct VersionError(pub String);

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let wrong = || VersionError(text.chars().take(64).collect());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
        if text.len() > 64 || !text.bytes().all(is_plain) {
            return Err(wrong());
        }
        let release = text.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<u32> =
            release.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let [major, minor, patch] = numbers[..] else { return Err(wrong()) };
        Ok(Self { numbers: (major, minor, patch), text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_read_as_firecracker_says_them() {
        let said = "Firecracker v1.15.1\n\nSupported snapshot data format versions: v8.0.0\n";
        assert_eq!(Version::said_by("Firecracker", said).unwrap().to_string(), "1.15.1");
        assert_eq!(
            Version::said_by("Jailer", "Jailer v1.17.0-dev\n").unwrap().numbers(),
            (1, 17, 0)
        );
        for nonsense in ["", "QEMU emulator version 7.2.22", "Firecracker v1.15", "Firecracker vx"]
        {
            assert_eq!(Version::said_by("Firecracker", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn versions_that_lose_memory_or_vsock_are_refused_with_the_reason() {
        assert!(version("1.14.4").objection().unwrap().contains("3 GiB"));
        assert!(version("1.16.1").objection().unwrap().contains("vsock"));
        for good in ["1.15.0", "1.15.1", "1.16.2", "1.17.0-dev"] {
            assert_eq!(version(good).objection(), None, "{good}");
        }
    }
}
