//! Replays dead letters at a given rate.
//!
//! A dead letter is sent, confirmed, and then recorded as sent. After a crash in between it is sent once more: a ride is
//! never stored twice, and a line that fails again becomes the same dead letter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::chain;
use skilift_core::queue::{RepublishError, RepublishedLetter};
use skilift_core::retry;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::outcome::{self, Counted};
use super::store::{Selection, StoredDeadLetter};
use crate::console::Console;
use crate::view::dead_letters::DeadLetterState;

/// Maximum dead letters sent at once.
const MAX_AT_ONCE: f64 = 200.0;
/// Maximum writes per second: each record of sent dead letters is one write.
const STEPS_PER_S: f64 = 10.0;
/// Dead letters per read.
const PAGE: usize = 500;
/// How long sending may fail before it is aborted.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Rate and start of a replay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayRate {
    /// Dead letters per second.
    pub(crate) per_s: f64,
    /// Dead letters sent since this moment are skipped, in milliseconds since 1970: the plan was interrupted and is resumed.
    pub(crate) not_since_ms: Option<u64>,
}

/// Replays the dead letters and reports progress. Returns a message with the result; an error if some are left.
pub(crate) async fn replay_selected(
    console: Arc<Console>,
    selection: Selection,
    rate: ReplayRate,
    progress: watch::Sender<String>,
    cancel: &CancellationToken,
) -> Result<String, String> {
    let mut run = Run {
        console: &console,
        rate,
        progress,
        cancel,
        sent: Vec::new(),
        passed_over: 0,
    };
    let before = Counted::now(&console);
    let ended = match selection {
        Selection::Through { last, reason } => run.through(last, reason.as_deref()).await,
        Selection::Ids(ids) => run.these(&ids).await,
    };
    let sent = run.sent.len();
    match ended {
        Ok(()) => {
            let waiting = format!("sent {sent}; waiting for the outcome");
            run.progress.send_replace(waiting);
            let outcome = outcome::of_sent(&console, &run.sent, before, cancel).await;
            let outcome = outcome.map_err(|error| disk(&error))?;
            let passed_over = match run.passed_over {
                0 => String::new(),
                gone => format!("; {gone} were already gone or being sent"),
            };
            Ok(format!("sent {sent}: {outcome}{passed_over}"))
        }
        Err(why) => Err(format!(
            "sent {sent}, then stopped: {why}. The others are unchanged; create a new plan"
        )),
    }
}

struct Run<'a> {
    console: &'a Arc<Console>,
    rate: ReplayRate,
    progress: watch::Sender<String>,
    /// Cancelled if no more are to be sent.
    cancel: &'a CancellationToken,
    /// The numbers of the dead letters that were sent.
    sent: Vec<u64>,
    passed_over: u64,
}

impl Run<'_> {
    /// Every dead letter up to a number, with `reason` only those whose reason contains it, oldest first.
    async fn through(&mut self, last: u64, reason: Option<&str>) -> Result<(), String> {
        let mut ticks = self.ticks();
        let mut first = 1;
        while first <= last {
            let page = self.console.dead_letters.between(first, last, PAGE);
            let page = page.map_err(|error| disk(&error))?;
            let Some((highest, _)) = page.last() else {
                return Ok(());
            };
            first = highest + 1;
            let mut dead = page;
            dead.retain(|(_, letter)| {
                letter.state == DeadLetterState::Dead
                    && letter.has_reason(reason)
                    && self.is_due(letter)
            });
            self.send_all(&mut ticks, dead).await?;
        }
        Ok(())
    }

    /// These dead letters, in any state.
    async fn these(&mut self, ids: &[String]) -> Result<(), String> {
        let mut ticks = self.ticks();
        for page in ids.chunks(PAGE) {
            let mut found = Vec::with_capacity(page.len());
            for id in page {
                match self.console.dead_letters.find(id) {
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

    fn is_due(&self, letter: &StoredDeadLetter) -> bool {
        let sent_since = letter.replayed_at_ms.zip(self.rate.not_since_ms);
        sent_since.is_none_or(|(sent, since)| sent < since)
    }

    /// How many are sent per step.
    fn letters_per_step(&self) -> usize {
        let letters_per_step = (self.rate.per_s / STEPS_PER_S).clamp(1.0, MAX_AT_ONCE);
        letters_per_step.floor() as usize
    }

    fn ticks(&self) -> tokio::time::Interval {
        let step = Duration::from_secs_f64(self.letters_per_step() as f64 / self.rate.per_s);
        let mut ticks = tokio::time::interval(step);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    async fn send_all(
        &mut self,
        ticks: &mut tokio::time::Interval,
        letters: Vec<(u64, StoredDeadLetter)>,
    ) -> Result<(), String> {
        for step in letters.chunks(self.letters_per_step()) {
            let due = self.cancel.run_until_cancelled(ticks.tick()).await;
            due.ok_or_else(|| "cancelled".to_owned())?;
            let mut step = step.to_vec();
            let wanted = step.len();
            let started = self.console.dead_letters.begin_sending(&mut step).await;
            started.map_err(|error| disk(&error))?;
            self.passed_over += (wanted - step.len()) as u64;
            if let Err(why) = self.send_until_taken(&step).await {
                self.console.dead_letters.give_up_sending(&step).await;
                return Err(why);
            }
            let (state, letters) = (&self.console.state, &self.console.dead_letters);
            let recorded = letters.were_sent(state, &step).await;
            recorded.map_err(|error| disk(&error))?;
            self.sent.extend(step.iter().map(|(number, _)| number));
            self.progress
                .send_replace(format!("sent {}", self.sent.len()));
        }
        Ok(())
    }

    /// Sends dead letters, with retries while the queue does not accept them.
    async fn send_until_taken(&self, letters: &[(u64, StoredDeadLetter)]) -> Result<(), String> {
        let republished: Vec<RepublishedLetter> = letters
            .iter()
            .map(|(_, letter)| RepublishedLetter {
                id: letter.id.clone(),
                line: letter.line(),
            })
            .collect();
        let started = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let error: RepublishError = match self
                .console
                .sources
                .dead_letter_queue
                .republish(&republished)
                .await
            {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let why = chain(&error);
            if error.is_fatal() || started.elapsed() > TIMEOUT {
                return Err(why);
            }
            let sent = self.sent.len();
            let message = format!("sent {sent}; waiting: {why}");
            self.progress.send_replace(message);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }
}

fn disk(error: &DiskError) -> String {
    chain(error)
}
