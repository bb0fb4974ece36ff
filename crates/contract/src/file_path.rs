//! Where a request's file is: beneath the workspace of its guest.

use std::fmt;

/// The directory that file requests are about: paths are relative to it, and nothing outside of it is reached.
pub const WORKSPACE: &str = "/home/node/workspace";

/// The longest path, as Linux has it.
pub const MAX_PATH_BYTES: usize = 4095;

/// A path relative to the workspace, without `.`, `..` and double slashes; the workspace itself is `.`.
///
/// It is read from what a request says: a relative path, an absolute one beneath the workspace, or nothing. What it leads to, links
/// included, is the guest's to judge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(String);

/// Why a text is no path of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilePathError {
    /// It is too long.
    #[error("a path has at most {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// It has a byte that no path has.
    #[error("a NUL in the path")]
    Nul,
    /// It leads out.
    #[error("the path leads out of {WORKSPACE}")]
    Outside,
}

impl FilePath {
    /// The path as text, relative to the workspace.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the workspace itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "."
    }

    /// The last name in it; `.` for the workspace itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path of what this path calls `relative`, as an answer about a directory has it.
    #[must_use]
    pub fn join(&self, relative: &str) -> String {
        match (self.is_root(), relative.is_empty()) {
            (true, false) => relative.to_owned(),
            (_, true) => self.0.clone(),
            (false, false) => format!("{}/{relative}", self.0),
        }
    }
}

impl std::str::FromStr for FilePath {
    type Err = FilePathError;

    fn from_str(text: &str) -> Result<Self, FilePathError> {
        if text.len() > MAX_PATH_BYTES {
            return Err(FilePathError::TooLong);
        }
        if text.contains('\0') {
            return Err(FilePathError::Nul);
        }
        let relative = match text.strip_prefix('/') {
            None => text,
            Some(_) => beneath_workspace(text).ok_or(FilePathError::Outside)?,
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or(FilePathError::Outside)?;
                }
                part => parts.push(part),
            }
        }
        Ok(Self(if parts.is_empty() { ".".to_owned() } else { parts.join("/") }))
    }
}

fn beneath_workspace(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(WORKSPACE)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl fmt::Display for FilePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_answered_relative_to_the_workspace() {
        for (text, expected) in [
            ("", "."),
            (".", "."),
            ("/home/node/workspace", "."),
            ("/home/node/workspace/", "."),
            ("a", "a"),
            ("./a//b/", "a/b"),
            ("a/../b", "b"),
            ("/home/node/workspace/a/./b", "a/b"),
            ("..a/...", "..a/..."),
        ] {
            assert_eq!(text.parse::<FilePath>().map(|path| path.0), Ok(expected.into()), "{text}");
        }
        let directory: FilePath = "d".parse().unwrap();
        assert_eq!((directory.join("x/y").as_str(), directory.join("").as_str()), ("d/x/y", "d"));
        assert_eq!("".parse::<FilePath>().unwrap().join("x"), "x");
    }

    #[test]
    fn promise_p1_what_leads_out_is_no_path() {
        for text in [
            "..",
            "../",
            "a/../..",
            "/",
            "/etc/passwd",
            "/home/node",
            "/home/node/workspace2/x",
            "/home/node/workspace/..",
            "/home/node/workspace/../x",
        ] {
            assert_eq!(text.parse::<FilePath>(), Err(FilePathError::Outside), "{text}");
        }
        assert_eq!("a\0".parse::<FilePath>(), Err(FilePathError::Nul));
        assert_eq!("a".repeat(4096).parse::<FilePath>(), Err(FilePathError::TooLong));
        "a/".repeat(2047).parse::<FilePath>().unwrap();
    }
}
