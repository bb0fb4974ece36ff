//! Shows how far a build is: a spinner for people, one line for each step elsewhere. Standard output stays free for the result.

use std::io::{IsTerminal as _, stderr};

use crate::progress::Progress;

const LONGEST_DETAIL: usize = 60;

/// The progress of a build of a known number of steps.
#[derive(Debug)]
pub(crate) struct Steps {
    shown: Progress,
    step: String,
    done: usize,
    count: usize,
}

impl Steps {
    /// Begins `count` steps.
    pub(crate) fn new(count: usize) -> Self {
        Self { shown: Progress::start("begin"), step: String::new(), done: 0, count }
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, what: &str) {
        self.done += 1;
        self.step = format!("[{}/{}] {what}", self.done, self.count);
        self.shown.say(self.step.clone());
        if !stderr().is_terminal() {
            eprintln!("{}", self.step);
        }
    }

    /// Shows, to people, what happens within the step.
    pub(crate) fn detail(&self, detail: &str) {
        let detail: String = detail.chars().take(LONGEST_DETAIL).collect();
        self.shown.say(format!("{}: {detail}", self.step));
    }
}
