//! The backlog of rides, and whether it is above the high-water mark.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::admission::{Admission, Shed};

/// Rides are accepted again when the backlog has fallen to this fraction of the mark.
const REOPEN_SHARE: f64 = 0.9;

/// The known backlog, and the high-water mark above which rides are rejected.
#[derive(Debug)]
pub struct Backlog {
    /// The bits of an `f64`; NaN while the backlog is unknown.
    rides: AtomicU64,
    high_water_rides: u64,
    admission: Arc<Admission>,
}

impl Backlog {
    /// A backlog that is still unknown.
    #[must_use]
    pub fn new(high_water_rides: u64, admission: Arc<Admission>) -> Self {
        Self {
            rides: AtomicU64::new(f64::NAN.to_bits()),
            high_water_rides,
            admission,
        }
    }

    /// Records the backlog, and sets or clears [`Shed::Backlog`]. While the backlog is unknown, the last decision is kept.
    pub fn saw(&self, rides: Option<f64>) {
        let seen = rides.unwrap_or(f64::NAN);
        self.rides.store(seen.to_bits(), Ordering::Relaxed);
        metrics::gauge!("skilift_backlog_rides").set(seen);
        let Some(rides) = rides else { return };
        let mark = self.high_water_rides as f64;
        let holds = self.admission.holds(Shed::Backlog);
        let mark = if holds { mark * REOPEN_SHARE } else { mark };
        self.admission.set(Shed::Backlog, rides > mark);
    }

    /// The backlog in rides; `None` while unknown.
    #[must_use]
    pub fn rides(&self) -> Option<f64> {
        let rides = f64::from_bits(self.rides.load(Ordering::Relaxed));
        (!rides.is_nan()).then_some(rides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_above_the_mark_until_a_tenth_below_it() {
        let admission = Arc::new(Admission::default());
        let backlog = Backlog::new(100, Arc::clone(&admission));
        assert_eq!(backlog.rides(), None);
        for (seen, refuses) in [
            (Some(100.0), false),
            (Some(101.0), true),
            (None, true),
            (Some(91.0), true),
            (Some(90.0), false),
        ] {
            backlog.saw(seen);
            assert_eq!(backlog.rides(), seen);
            assert_eq!(admission.holds(Shed::Backlog), refuses, "{seen:?}");
        }
    }
}
