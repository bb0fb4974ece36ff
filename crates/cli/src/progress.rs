//! Shows people that something takes a while. It goes to standard error, and only to a terminal.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);

/// A spinner with a text, gone when dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show a text.
    pub(crate) fn start(text: impl Into<String>) -> Self {
        let bar =
            if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(text.into());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows another text.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }
}

/// How many bytes went, shown while they go. Cheap to clone; gone when the last is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Bar>);

#[derive(Debug)]
struct Bar(ProgressBar);

impl Meter {
    /// Begins to count, towards a total where that is known.
    pub(crate) fn start(text: impl Into<String>, total_bytes: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr());
        if !stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = match total_bytes {
            Some(_) => "{spinner} {wide_msg} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{spinner} {wide_msg} {bytes} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(text.into());
        Self(Arc::new(Bar(bar)))
    }

    /// So many more.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.0.inc(bytes);
    }

    /// All so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.0.position()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
