//! What a benchmark found, as a file for programs and a line for people.

use std::fmt;
use std::fs;

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use crate::error::HarnessError;
use crate::program::target_dir;

/// What a benchmark found.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The benchmark.
    pub name: &'static str,
    /// Ours.
    pub value: f64,
    /// Of `value` and `bare`.
    pub unit: &'static str,
    /// The bare tool's, in the same run, where there is one.
    pub bare: Option<f64>,
}

impl Figure {
    /// Ours over the bare tool's.
    pub fn ratio(&self) -> Option<f64> {
        self.bare.map(|bare| self.value / bare)
    }

    fn json(&self) -> Value {
        let mut figure = json!({ "name": self.name, "value": self.value, "unit": self.unit });
        if let (Some(bare), Some(ratio)) = (self.bare, self.ratio()) {
            figure["bare"] = json!(bare);
            figure["ratio"] = json!(ratio);
        }
        figure
    }
}

/// The figures of one run, in `target/bench`.
#[derive(Debug)]
pub(super) struct Results {
    dir: Utf8PathBuf,
    figures: Vec<Figure>,
}

impl Results {
    /// Deletes the figures of earlier runs.
    pub(super) fn empty() -> Result<Self, HarnessError> {
        let dir = target_dir()?.join("bench");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(HarnessError::io(format!("remove {dir}"))(error));
            }
            Ok(()) | Err(_) => {}
        }
        fs::create_dir_all(&dir).map_err(HarnessError::io(format!("make {dir}")))?;
        Ok(Self { dir, figures: Vec::new() })
    }

    /// Writes a figure.
    pub(super) fn keep(&mut self, figure: Figure) -> Result<(), HarnessError> {
        let path = self.dir.join(format!("{}.json", figure.name));
        let text = format!("{}\n", figure.json());
        fs::write(&path, text).map_err(HarnessError::io(format!("write {path}")))?;
        self.figures.push(figure);
        Ok(())
    }

    /// Says why there is no figure.
    pub(super) fn skip(&self, name: &str, reason: &str) {
        println!("skipped: {name}: {reason}");
    }
}

impl fmt::Display for Results {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<26}{:>12}  {:<8}{:>12}{:>8}",
            "", "value", "unit", "bare", "ratio"
        )?;
        for figure in &self.figures {
            let shown = |number: Option<f64>| {
                number.map_or("-".to_owned(), |number| format!("{number:.2}"))
            };
            let Figure { name, value, unit, bare } = figure;
            let (bare, ratio) = (shown(*bare), shown(figure.ratio()));
            writeln!(formatter, "{name:<26}{value:>12.2}  {unit:<8}{bare:>12}{ratio:>8}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_bare_and_ratio_only_where_there_is_a_bare_way() {
        let alone = Figure { name: "x", value: 3.0, unit: "ms", bare: None };
        assert_eq!(alone.json(), json!({"name": "x", "value": 3.0, "unit": "ms"}));
        let beside = Figure { bare: Some(2.0), ..alone };
        assert_eq!(beside.json()["ratio"], 1.5);
    }
}
