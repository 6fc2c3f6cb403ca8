//! Whether new rides are welcome: the reasons to shed load, each set and cleared by whoever watches it.

use std::sync::atomic::{AtomicU8, Ordering};

/// A reason to refuse new rides for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Shed {
    /// RabbitMQ is short of memory or disk and has blocked publishers.
    BrokerBlocked = 1,
    /// More rides wait in the queue than the high-water mark allows.
    Backlog = 2,
    /// Redis has nearly used the memory that it may use.
    StoreMemory = 4,
    /// The data folder has nearly used the disk that it may use.
    DiskSpace = 8,
    /// An operator has drained this node.
    Drained = 16,
}

impl Shed {
    const ALL: [Self; 5] = [
        Self::BrokerBlocked,
        Self::Backlog,
        Self::StoreMemory,
        Self::DiskSpace,
        Self::Drained,
    ];

    /// What to tell a client.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::BrokerBlocked => "RabbitMQ is short of memory or disk and accepts no rides",
            Self::Backlog => {
                "too many rides are waiting to be stored; the workers must catch up first"
            }
            Self::StoreMemory => "Redis has nearly used the memory that it may use (maxmemory)",
            Self::DiskSpace => {
                "the disk that holds the data folder is nearly full; make room on it"
            }
            Self::Drained => "this node was drained and accepts no rides; send them to another one",
        }
    }
}

/// The set of reasons that hold now. Reading it is one atomic load, as it happens for every ride.
#[derive(Debug, Default)]
pub struct Admission(AtomicU8);

impl Admission {
    /// Says whether a reason holds, and logs it when that is news.
    pub fn set(&self, reason: Shed, holds: bool) {
        let bit = reason as u8;
        let before = if holds {
            self.0.fetch_or(bit, Ordering::Relaxed)
        } else {
            self.0.fetch_and(!bit, Ordering::Relaxed)
        };
        let held = before & bit != 0;
        if holds && !held {
            tracing::warn!(shed.reason = ?reason, "refusing rides: {}", reason.message());
        } else if !holds && held {
            tracing::info!(shed.reason = ?reason, "no longer refusing rides for this reason: {}", reason.message());
        }
    }

    /// Whether this reason holds.
    #[must_use]
    pub fn holds(&self, reason: Shed) -> bool {
        self.0.load(Ordering::Relaxed) & reason as u8 != 0
    }

    /// The first reason that holds.
    #[must_use]
    pub fn shedding(&self) -> Option<Shed> {
        self.reasons().next()
    }

    /// Every reason that holds.
    pub fn reasons(&self) -> impl Iterator<Item = Shed> {
        let held = self.0.load(Ordering::Relaxed);
        let holds = move |reason: &Shed| held & *reason as u8 != 0;
        Shed::ALL.into_iter().filter(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_for_itself() {
        let admission = Admission::default();
        for reason in Shed::ALL {
            admission.set(reason, true);
            assert_eq!(admission.shedding(), Some(reason));
            admission.set(reason, false);
            assert_eq!(admission.shedding(), None);
        }
        admission.set(Shed::Backlog, true);
        admission.set(Shed::BrokerBlocked, true);
        admission.set(Shed::BrokerBlocked, false);
        assert_eq!(admission.shedding(), Some(Shed::Backlog));
    }
}
