//! Printing answers: tables for people, JSON for programs.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Table, presets::NOTHING};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::CliError;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Output {
    /// JSON when it is asked for, and when standard output is not a terminal.
    pub(crate) fn choose(wants_json: bool) -> Self {
        if wants_json || !io::stdout().is_terminal() { Self::Json } else { Self::Table }
    }

    /// Prints an answer: its `Display` for people, its `Serialize` for programs.
    pub(crate) fn print<T: Display + Serialize>(self, answer: &T) -> Result<(), CliError> {
        let text = match self {
            Self::Table => answer.to_string(),
            Self::Json => serde_json::to_string(answer).map_err(CliError::PrintJson)?,
        };
        print(text.trim_end())
    }
}

/// Prints a text and a line break.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CliError::Print)
}

/// An empty table with these headings.
pub(crate) fn table<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(headings);
    table
}

/// A table of names and values; what has no value is left out.
pub(crate) fn properties<'a>(
    properties: impl IntoIterator<Item = (&'a str, Option<String>)>,
) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (name, value) in properties {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            table.add_row([name.to_owned(), value]);
        }
    }
    table
}

/// A time as people read it.
pub(crate) fn shown_time(time: Timestamp) -> String {
    time.strftime("%F %R UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_without_a_value_are_left_out() {
        let shown = properties([
            ("name", Some("box".to_owned())),
            ("error", Some(String::new())),
            ("identity", None),
        ])
        .to_string();
        assert!(shown.contains("name") && shown.contains("box"));
        assert!(!shown.contains("error") && !shown.contains("identity"));
    }
}
