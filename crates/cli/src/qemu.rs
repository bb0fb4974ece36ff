//! The QEMU of this host, by what it says of itself.

use crate::tool::{Tool, ToolError};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";
/// The first with all that snapshots need.
const OLDEST: u32 = 7;
/// From this version on, QEMU boots an uncompressed kernel on microvm unreliably.
const UNRELIABLE_UNCOMPRESSED: u32 = 10;

/// A version of QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QemuVersion {
    /// As QEMU says it.
    pub(crate) text: String,
    major: Option<u32>,
}

impl QemuVersion {
    /// Asks the installed QEMU.
    pub(crate) fn installed() -> Result<Self, ToolError> {
        let output = Tool::new(PROGRAM, PACKAGE).argument("--version").run()?;
        Ok(Self::parse(&output))
    }

    /// Reads the answer to `--version`.
    pub(crate) fn parse(output: &str) -> Self {
        let version = output.split_whitespace().skip_while(|word| *word != "version").nth(1);
        let text = version.unwrap_or("of an unknown version").to_owned();
        let major = text.split('.').next().and_then(|major| major.parse().ok());
        Self { text, major }
    }

    /// Whether machines can run under it at all.
    pub(crate) fn is_known_to_work(&self) -> bool {
        self.major.is_some_and(|major| major >= OLDEST)
    }

    /// Whether it boots an uncompressed kernel every time.
    pub(crate) fn boots_uncompressed_kernels(&self) -> bool {
        self.major.is_none_or(|major| major < UNRELIABLE_UNCOMPRESSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_version_can_do_follows_from_its_number() {
        let table = [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright", true, true),
            ("QEMU emulator version 10.0.2\n", true, false),
            ("QEMU emulator version 5.2.0\n", false, true),
            ("something else", false, true),
        ];
        for (output, works, uncompressed) in table {
            let version = QemuVersion::parse(output);
            assert_eq!(version.is_known_to_work(), works, "{output}");
            assert_eq!(version.boots_uncompressed_kernels(), uncompressed, "{output}");
        }
    }
}
