//! The names of the keys. All of a stack share a hash tag, so that they are in one slot of a cluster: a batch is one transaction.
//! So a managed Redis that only comes as a cluster works with one shard.

use crate::ride::{ResortDay, ResortId, Season, SkierId};
use crate::stack::StackName;

/// Writes a stack's keys.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(stack: &StackName) -> Self {
        Self {
            prefix: format!("{{{stack}}}:"),
        }
    }

    /// HASH skier to packed rides: the ledger of a day. Its field 0 is there while the day is closed; see `archive`.
    #[must_use]
    pub fn rides(&self, day: ResortDay) -> String {
        format!("{}rides:{day}", self.prefix)
    }

    /// STRING of counters of a day; see [`crate::store::counters`].
    #[must_use]
    pub fn counts(&self, day: ResortDay) -> String {
        format!("{}counts:{day}", self.prefix)
    }

    /// SET of a skier's days, as [`ResortDay::to_index`] writes them.
    #[must_use]
    pub fn skier(&self, skier: SkierId) -> String {
        format!("{}skier:{skier}", self.prefix)
    }

    /// SET of resorts.
    #[must_use]
    pub fn resorts(&self) -> String {
        format!("{}resorts", self.prefix)
    }

    /// SET of a resort's seasons.
    #[must_use]
    pub fn seasons(&self, resort: ResortId) -> String {
        format!("{}seasons:{resort}", self.prefix)
    }

    /// SET of the days of a resort's season.
    #[must_use]
    pub fn days(&self, resort: ResortId, season: Season) -> String {
        format!("{}days:{resort}:{season}", self.prefix)
    }

    /// HASH of resort and season to the archived days, as in "1,2,17".
    #[must_use]
    pub fn archived(&self) -> String {
        format!("{}archived", self.prefix)
    }

    /// A key that never exists, to which `skictl doctor` writes nothing.
    pub(super) fn probe(&self) -> String {
        format!("{}probe", self.prefix)
    }

    /// HASH of the reconciliation totals; see `settle.lua`.
    #[must_use]
    pub fn books(&self) -> String {
        format!("{}books", self.prefix)
    }

    /// HASH of channel epochs to their settled ranges; see `settle.lua`.
    #[must_use]
    pub fn settled(&self) -> String {
        format!("{}settled", self.prefix)
    }

    /// STRING: the version of the data model.
    #[must_use]
    pub fn format(&self) -> String {
        format!("{}format", self.prefix)
    }
}
