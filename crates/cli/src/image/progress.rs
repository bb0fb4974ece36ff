//! Shows how far a build is: a spinner for people, one line for each step elsewhere. Standard output stays free for the result.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);
const LONGEST_DETAIL: usize = 60;

/// The progress of a build of a known number of steps.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    step: String,
    done: usize,
    steps: usize,
}

impl Progress {
    /// Begins `steps` steps.
    pub(crate) fn new(steps: usize) -> Self {
        let is_terminal = stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, is_terminal, step: String::new(), done: 0, steps }
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, what: &str) {
        self.done += 1;
        self.step = what.to_owned();
        self.bar.set_prefix(format!("[{}/{}]", self.done, self.steps));
        self.bar.set_message(self.step.clone());
        if !self.is_terminal {
            eprintln!("[{}/{}] {what}", self.done, self.steps);
        }
    }

    /// Shows, to people, what happens within the step.
    pub(crate) fn detail(&self, detail: &str) {
        let detail: String = detail.chars().take(LONGEST_DETAIL).collect();
        self.bar.set_message(format!("{}: {detail}", self.step));
    }

    /// Ends the show.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
