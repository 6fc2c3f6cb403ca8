//! What the collectors read last.

use skilift_core::queue::depth::Depth;
use skilift_core::reconciliation::Reconciliation;

use crate::view::Reading;

/// A reading older than this is treated as unknown.
const FRESH_MS: u64 = 5_000;
/// A source that fails for this long is out of order, and not one query of it.
const OUTAGE_MS: u64 = 1_500;
/// How long after an outage what depends on the source may need to work again.
const RECOVERY_MS: u64 = 5_000;
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
    /// Why it cannot be read, and since when.
    failure: Option<(String, u64)>,
    /// When the last outage ended.
    recovered_at: Option<u64>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self {
            read: None,
            failure: None,
            recovered_at: None,
        }
    }
}

impl<T> Cached<T> {
    pub(super) fn take(&mut self, answer: Result<T, String>, now: u64) {
        match answer {
            Ok(read) => {
                self.read = Some((read, now));
                if self.failure.take().is_some() {
                    self.recovered_at = Some(now);
                }
            }
            Err(why) => {
                let since = self.failure.as_ref().map_or(now, |(_, since)| *since);
                self.failure = Some((why, since));
            }
        }
    }

    /// The value and its age; or why it is unknown.
    pub(super) fn known(&self, now: u64) -> Result<(&T, u64), (String, Option<u64>)> {
        let age = |at: &u64| now.saturating_sub(*at);
        match (&self.read, &self.failure) {
            (Some((_, at)), Some((why, _))) => Err((why.clone(), Some(age(at)))),
            (Some((read, at)), None) if age(at) <= FRESH_MS => Ok((read, age(at))),
            (Some((_, at)), None) => Err(("it does not respond".to_owned(), Some(age(at)))),
            (None, Some((why, _))) => Err((why.clone(), None)),
            (None, None) => Err(("it was not queried yet".to_owned(), None)),
        }
    }

    /// Why it cannot be read. A console that has just started (`ran_ms`) has not asked yet, which is no outage.
    pub(super) fn outage(&self, now: u64, ran_ms: u64) -> Option<String> {
        let has_asked = self.read.is_some() || self.failure.is_some();
        let (why, _) = self.known(now).err()?;
        let since = self.failure.as_ref().map(|(_, since)| *since);
        let is_old = |(_, at): &(T, u64)| now.saturating_sub(*at) > FRESH_MS;
        let is_lasting = self.read.as_ref().is_some_and(is_old)
            || since.is_none_or(|since| now.saturating_sub(since) >= OUTAGE_MS);
        (is_lasting && (has_asked || ran_ms >= BEGIN_LISTENING_MS)).then_some(why)
    }

    /// Whether it fails now or did so a moment ago: what depends on it may not work yet.
    pub(super) fn is_unsettled(&self, now: u64) -> bool {
        let recovers = |at| now.saturating_sub(at) < RECOVERY_MS;
        self.failure.is_some() || self.recovered_at.is_some_and(recovers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_yet_is_no_outage() {
        let mut cached = Cached::<u64>::default();
        assert_eq!(cached.outage(1_000, 0), None);
        let silent = cached.outage(4_000, BEGIN_LISTENING_MS);
        assert_eq!(silent.as_deref(), Some("it was not queried yet"));
        cached.take(Err("refused".to_owned()), 1_000);
        // One failed query is no outage, although the value is unknown.
        assert!(cached.known(1_000).is_err() && cached.is_unsettled(1_000));
        assert_eq!(cached.outage(1_000, 0), None);
        cached.take(Err("refused again".to_owned()), 2_500);
        assert_eq!(cached.outage(2_500, 0).as_deref(), Some("refused again"));
        cached.take(Ok(7), 3_000);
        assert_eq!(cached.outage(3_000, 0), None);
        assert!(cached.is_unsettled(7_999) && !cached.is_unsettled(8_000));
        // It hangs, which ends in an error after a while.
        assert!(cached.outage(3_001 + FRESH_MS, 0).is_some());
        cached.take(Err("timed out".to_owned()), 3_100 + FRESH_MS);
        let outage = cached.outage(3_100 + FRESH_MS, 0);
        assert_eq!(outage.as_deref(), Some("timed out"));
    }
}
