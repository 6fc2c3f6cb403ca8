//! Sends letters again, at a rate.
//!
//! A letter is sent, confirmed, and then noted as sent. When a crash comes between, it is sent once more: a ride that is stored
//! is not stored twice, and a line that dies again is the same letter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::chain;
use skilift_core::queue::{ResendError, Resent};
use skilift_core::retry;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::store::{Choice, Letter};
use crate::console::Console;
use crate::view::letters::LetterState;

/// Most letters that are sent at once.
const MOST_AT_ONCE: f64 = 200.0;
/// Writes a second, at most: a note of what was sent is one write.
const STEPS_PER_S: f64 = 10.0;
/// Letters that are read at once.
const PAGE: usize = 500;
/// How long nothing may be taken until the rest is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How fast, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Letters a second.
    pub(crate) per_s: f64,
    /// Letters that were sent since this moment are passed over, in milliseconds since 1970: the plan was cut off and goes on.
    pub(crate) not_since_ms: Option<u64>,
}

/// Sends the letters again and tells how far it is. Gives back a sentence of what came of it, as an error where some are left.
pub(crate) async fn send_again(
    console: Arc<Console>,
    choice: Choice,
    pace: Pace,
    progress: watch::Sender<String>,
) -> Result<String, String> {
    let mut run = Run {
        console: &console,
        pace,
        progress,
        sent: 0,
        passed_over: 0,
    };
    let ended = match choice {
        Choice::Through(last) => run.through(last).await,
        Choice::Ids(ids) => run.these(&ids).await,
    };
    let sent = run.sent;
    match ended {
        Ok(()) if run.passed_over > 0 => Ok(format!(
            "sent {sent}; {} were gone or on their way already",
            run.passed_over
        )),
        Ok(()) => Ok(format!("sent {sent}")),
        Err(why) => Err(format!(
            "sent {sent}, then stopped: {why}. The others are dead as before: plan it again"
        )),
    }
}

struct Run<'a> {
    console: &'a Arc<Console>,
    pace: Pace,
    progress: watch::Sender<String>,
    sent: u64,
    passed_over: u64,
}

impl Run<'_> {
    /// Every dead letter up to a number, oldest first.
    async fn through(&mut self, last: u64) -> Result<(), String> {
        let mut ticks = self.ticks();
        let mut first = 1;
        while first <= last {
            let page = self.console.letters.between(first, last, PAGE);
            let page = page.map_err(|error| disk(&error))?;
            let Some((highest, _)) = page.last() else {
                return Ok(());
            };
            first = highest + 1;
            let mut dead = page;
            dead.retain(|(_, letter)| letter.state == LetterState::Dead && self.is_due(letter));
            self.send_all(&mut ticks, dead).await?;
        }
        Ok(())
    }

    /// These letters, whatever became of them before.
    async fn these(&mut self, ids: &[String]) -> Result<(), String> {
        let mut ticks = self.ticks();
        for page in ids.chunks(PAGE) {
            let mut found = Vec::with_capacity(page.len());
            for id in page {
                match self.console.letters.find(id) {
                    Ok(Some(letter)) if self.is_due(&letter.1) => found.push(letter),
                    Ok(Some(_)) => {}
                    Ok(None) => self.passed_over += 1,
                    Err(error) => return Err(disk(&error)),
                }
            }
            self.send_all(&mut ticks, found).await?;
        }
        Ok(())
    }

    fn is_due(&self, letter: &Letter) -> bool {
        let sent_since = letter.replayed_at_ms.zip(self.pace.not_since_ms);
        sent_since.is_none_or(|(sent, since)| sent < since)
    }

    /// How many are sent in one step.
    fn at_once(&self) -> usize {
        let at_once = (self.pace.per_s / STEPS_PER_S).clamp(1.0, MOST_AT_ONCE);
        at_once.floor() as usize
    }

    fn ticks(&self) -> tokio::time::Interval {
        let step = Duration::from_secs_f64(self.at_once() as f64 / self.pace.per_s);
        let mut ticks = tokio::time::interval(step);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    async fn send_all(
        &mut self,
        ticks: &mut tokio::time::Interval,
        letters: Vec<(u64, Letter)>,
    ) -> Result<(), String> {
        for step in letters.chunks(self.at_once()) {
            ticks.tick().await;
            let mut step = step.to_vec();
            let wanted = step.len();
            let begun = self.console.letters.begin_sending(&mut step).await;
            begun.map_err(|error| disk(&error))?;
            self.passed_over += (wanted - step.len()) as u64;
            if let Err(why) = self.send_until_taken(&step).await {
                self.console.letters.give_up_sending(&step).await;
                return Err(why);
            }
            let (state, letters) = (&self.console.state, &self.console.letters);
            let noted = letters.were_sent(state, &step).await;
            noted.map_err(|error| disk(&error))?;
            self.sent += step.len() as u64;
            self.progress.send_replace(format!("sent {}", self.sent));
        }
        Ok(())
    }

    /// Sends letters, again and again while the queue does not take them.
    async fn send_until_taken(&self, letters: &[(u64, Letter)]) -> Result<(), String> {
        let resent: Vec<Resent> = letters
            .iter()
            .map(|(_, letter)| Resent {
                id: letter.id.clone(),
                line: letter.line(),
            })
            .collect();
        let begun = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let error: ResendError = match self.console.sources.letters.resend(&resent).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let why = chain(&error);
            if error.is_fatal() || begun.elapsed() > PATIENCE {
                return Err(why);
            }
            let sent = self.sent;
            let told = format!("sent {sent}; waiting, because: {why}");
            self.progress.send_replace(told);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }
}

fn disk(error: &DiskError) -> String {
    chain(error)
}
