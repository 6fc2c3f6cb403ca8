//! What the collectors read last.

use skilift_core::queue::depth::Depth;
use skilift_core::reconciliation::Reconciliation;

use crate::view::Reading;

/// A reading older than this is treated as unknown.
const FRESH_MS: u64 = 5_000;
/// Until this uptime, missing heartbeats only mean that the console has just subscribed.
const BEGIN_LISTENING_MS: u64 = 3_000;

/// The latest readings.
#[derive(Default)]
pub(super) struct Collectors {
    /// Why no heartbeats are received, as of the last collection.
    pub(super) disconnected: Option<String>,
    /// The last error of the control channel, unless it has worked since.
    pub(super) last_error: Option<String>,
    pub(super) depth: Cached<Depth>,
    pub(super) books: Cached<Reconciliation>,
}

impl Collectors {
    /// Updates whether heartbeats are received. A console that has just started (`ran_ms`) has not subscribed yet.
    pub(super) fn update_connection(&mut self, is_disconnected: bool, ran_ms: u64) {
        let begins = self.last_error.is_none() && ran_ms < BEGIN_LISTENING_MS;
        let silent = || "the control channel does not respond".to_owned();
        let why =
            (is_disconnected && !begins).then(|| self.last_error.clone().unwrap_or_else(silent));
        match (&self.disconnected, &why) {
            (None, Some(why)) => tracing::warn!("no heartbeats received: {why}"),
            (Some(_), None) => tracing::info!("heartbeats are received again"),
            _ => {}
        }
        self.disconnected = why;
    }
}

/// The latest value, its time, and why it was not read again.
pub(super) struct Cached<T> {
    read: Option<(T, u64)>,
    failure: Option<String>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self {
            read: None,
            failure: None,
        }
    }
}

impl<T> Cached<T> {
    pub(super) fn take(&mut self, answer: Result<T, String>, now: u64) {
        match answer {
            Ok(read) => {
                self.read = Some((read, now));
                self.failure = None;
            }
            Err(why) => self.failure = Some(why),
        }
    }

    /// The value and its age; or why it is unknown.
    pub(super) fn known(&self, now: u64) -> Result<(&T, u64), (String, Option<u64>)> {
        let age = |at: &u64| now.saturating_sub(*at);
        match (&self.read, &self.failure) {
            (Some((_, at)), Some(why)) => Err((why.clone(), Some(age(at)))),
            (Some((read, at)), None) if age(at) <= FRESH_MS => Ok((read, age(at))),
            (Some((_, at)), None) => Err(("it does not respond".to_owned(), Some(age(at)))),
            (None, Some(why)) => Err((why.clone(), None)),
            (None, None) => Err(("it was not queried yet".to_owned(), None)),
        }
    }

    /// A number derived from the value.
    pub(super) fn reading<N>(&self, now: u64, number: impl Fn(&T) -> N) -> Reading<N> {
        match self.known(now) {
            Ok((read, age)) => Reading::of(number(read), age),
            Err((why, age_ms)) => Reading {
                age_ms,
                ..Reading::unknown(why)
            },
        }
    }
}
