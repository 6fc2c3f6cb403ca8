//! Outcome of each ride of a run as seen by its sender: one byte per ride, allocated as rides are sent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Rides in a part of the table.
const PART: usize = 1 << 20;
/// Parts of the table, for four billion rides.
const PARTS: usize = 1 << 12;

/// The outcome of a ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RideOutcome {
    /// Not sent, or rejected by the server.
    Absent,
    /// Sent, but no response confirmed or rejected it.
    Unknown,
    /// Confirmed by the server.
    Accepted,
}

/// The outcomes of rides by their number.
#[derive(Debug)]
pub(crate) struct OutcomeLog(Vec<OnceLock<Box<[AtomicU8]>>>);

impl OutcomeLog {
    /// Maximum number of rides.
    pub(crate) const MAX_RIDES: u64 = (PART * PARTS) as u64;

    pub(crate) fn new() -> Self {
        Self((0..PARTS).map(|_| OnceLock::new()).collect())
    }

    pub(crate) fn set(&self, ride: u64, outcome: RideOutcome) {
        let ride = ride as usize;
        // Runs with more rides are rejected before.
        let Some(part) = self.0.get(ride / PART) else {
            return;
        };
        let part = part.get_or_init(|| (0..PART).map(|_| AtomicU8::new(0)).collect());
        part[ride % PART].store(outcome as u8, Ordering::Relaxed);
    }

    /// The rides that are or may be on the server, in order.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (u64, RideOutcome)> {
        let filled = self.0.iter().enumerate();
        filled.flat_map(|(part, outcomes)| {
            let outcomes = outcomes.get().map_or(&[][..], |outcomes| &outcomes[..]);
            outcomes
                .iter()
                .enumerate()
                .filter_map(move |(at, outcome)| {
                    let ride = (part * PART + at) as u64;
                    let outcome = outcome.load(Ordering::Relaxed);
                    if outcome == RideOutcome::Accepted as u8 {
                        Some((ride, RideOutcome::Accepted))
                    } else {
                        (outcome == RideOutcome::Unknown as u8)
                            .then_some((ride, RideOutcome::Unknown))
                    }
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let outcomes = OutcomeLog::new();
        outcomes.set(3_000_000, RideOutcome::Unknown);
        outcomes.set(5, RideOutcome::Unknown);
        outcomes.set(5, RideOutcome::Accepted);
        outcomes.set(6, RideOutcome::Unknown);
        outcomes.set(6, RideOutcome::Absent);
        let sent: Vec<_> = outcomes.sent().collect();
        assert_eq!(
            sent,
            [
                (5, RideOutcome::Accepted),
                (3_000_000, RideOutcome::Unknown)
            ]
        );
        outcomes.set(u64::MAX, RideOutcome::Accepted);
    }
}
