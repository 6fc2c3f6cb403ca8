//! The progress bar of a run, on stderr if it is a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use skilift_load::run::Progress;

/// Number of steps of the bar.
const STEPS: u64 = 1000;

/// A progress bar, or nothing.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(seed: u64) -> Self {
        let target = if stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(STEPS), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {msg} ({elapsed})") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(format!("seed {seed}"));
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        let (done, message) = match progress {
            Progress::Preparing { done, all } => (
                share(done, all),
                format!("{done} of {all} day verticals read before the run"),
            ),
            Progress::Sending { sent, failed, done } => {
                (done, format!("{sent} requests sent, {failed} failed"))
            }
            Progress::Verifying { found, all } => (
                share(found, all),
                format!("{found} of {all} accepted rides found"),
            ),
        };
        self.0.set_position((done * STEPS as f64) as u64);
        self.0.set_message(message);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}
