//! Whether new rides are accepted: the reasons to shed load, each set and cleared by the component that monitors it.

use std::sync::atomic::{AtomicU8, Ordering};

/// A reason to reject new rides temporarily.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Shed {
    /// RabbitMQ is short of memory or disk and has blocked publishers.
    BrokerBlocked = 1,
    /// The backlog is above the high-water mark.
    Backlog = 2,
    /// Redis has almost reached its memory limit.
    StoreMemory = 4,
    /// The disk of the data directory is almost full.
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

    /// The message for a client.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::BrokerBlocked => "RabbitMQ is short of memory or disk and accepts no rides",
            Self::Backlog => {
                "too many rides are waiting to be stored; the workers must catch up first"
            }
            Self::StoreMemory => "Redis has almost reached its memory limit (maxmemory)",
            Self::DiskSpace => "the disk of the data directory is almost full; free some space",
            Self::Drained => "this node is drained and accepts no rides; send them to another node",
        }
    }
}

/// The set of active reasons. Reading it is one atomic load, because it happens for every ride.
#[derive(Debug, Default)]
pub struct Admission(AtomicU8);

impl Admission {
    /// Sets or clears a reason, and logs a change.
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

    /// Whether this reason is active.
    #[must_use]
    pub fn holds(&self, reason: Shed) -> bool {
        self.0.load(Ordering::Relaxed) & reason as u8 != 0
    }

    /// The first active reason.
    #[must_use]
    pub fn shedding(&self) -> Option<Shed> {
        self.reasons().next()
    }

    /// All active reasons.
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
