//! `computer`, typed at a host: each command is shown as a person would type it, then run.

use std::process::Stdio;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::error::HarnessError;
use crate::program::program;

/// The longest that any command of the demo may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// Where commands are typed: the `computer` program, and the environment of one host.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    name: &'static str,
    program: Utf8PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// What a command said, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its standard output.
    pub(super) text: String,
    /// From its start to its end, in milliseconds.
    pub(super) took_ms: u64,
}

impl Prompt {
    /// A prompt that shows `name`.
    pub(super) fn new(
        name: &'static str,
        environment: Vec<(&'static str, String)>,
    ) -> Result<Self, HarnessError> {
        Ok(Self { name, program: program("computer")?, environment })
    }

    /// Shows and runs a command.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Answer, HarnessError> {
        self.show(arguments, "");
        self.quietly(arguments, b"").await
    }

    /// Shows and runs a command that reads `input` from a file that is called `file` on the screen.
    pub(super) async fn run_with(
        &self,
        arguments: &[&str],
        file: &str,
        input: &str,
    ) -> Result<Answer, HarnessError> {
        self.show(arguments, &format!(" < {file}"));
        self.quietly(arguments, input.as_bytes()).await
    }

    /// Runs a command without showing it.
    pub(super) async fn quietly(
        &self,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Answer, HarnessError> {
        let began = Instant::now();
        let failed = || HarnessError::io(format!("run computer {}", arguments.join(" ")));
        let mut child = Command::new(&self.program)
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed())?;
        let stdin = child.stdin.take();
        let whole = async {
            if let Some(mut stdin) = stdin {
                stdin.write_all(input).await?;
            }
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(DEADLINE, whole)
            .await
            .map_err(|_elapsed| HarnessError::Deadline {
                what: format!("the end of computer {}", arguments.join(" ")),
                deadline: DEADLINE,
            })?
            .map_err(failed())?;
        if !output.status.success() {
            return Err(HarnessError::Tool {
                command: format!("computer {}", arguments.join(" ")),
                status: output.status.to_string(),
                output: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
            });
        }
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Answer { text: String::from_utf8_lossy(&output.stdout).into_owned(), took_ms })
    }

    fn show(&self, arguments: &[&str], further: &str) {
        let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        println!("  {}# computer {}{further}", self.name, words.join(" "));
    }
}

impl Answer {
    /// A number of an answer in JSON, by a pointer such as `/snapshot/pause_ms`.
    pub(super) fn number(&self, pointer: &str) -> Result<u64, HarnessError> {
        let answer: Value = serde_json::from_str(&self.text)
            .map_err(|error| HarnessError::value("an answer in JSON", error))?;
        answer
            .pointer(pointer)
            .and_then(Value::as_u64)
            .ok_or_else(|| HarnessError::value(pointer, format!("not in {}", self.text)))
    }
}

/// A word as a shell needs it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_so_that_it_can_be_typed() {
        assert_eq!(quoted("s3://snapshots/demo"), "s3://snapshots/demo");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_number_is_found_in_an_answer_or_told_missing() {
        let answer = Answer { text: r#"{"snapshot":{"pause_ms":12}}"#.into(), took_ms: 1 };
        assert_eq!(answer.number("/snapshot/pause_ms").unwrap(), 12);
        assert!(answer.number("/snapshot/frozen_ms").is_err());
    }
}
