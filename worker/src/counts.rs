//! Counters of a worker's rides by result.

use std::sync::atomic::{AtomicU64, Ordering};

use skilift_core::store::Applied;

/// Numbers of rides by result, since the worker's start.
#[derive(Debug, Default)]
pub struct Counts {
    applied: AtomicU64,
    duplicate: AtomicU64,
    dead: AtomicU64,
}

impl Counts {
    pub(crate) fn add(&self, applied: &Applied, dead: u64) {
        self.applied.fetch_add(applied.new, Ordering::Relaxed);
        self.duplicate
            .fetch_add(applied.duplicates, Ordering::Relaxed);
        self.dead.fetch_add(dead, Ordering::Relaxed);
    }

    /// Newly stored rides.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Rides that were already stored.
    #[must_use]
    pub fn duplicate(&self) -> u64 {
        self.duplicate.load(Ordering::Relaxed)
    }

    /// Lines that could not be applied.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }
}
