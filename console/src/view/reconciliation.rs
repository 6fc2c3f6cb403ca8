//! Reconciliation of accepted and stored rides, and its verdict; see [`skilift_core::reconciliation`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;

/// `GET /admin/v1/reconciliation`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReconciliationView {
    /// The verdict.
    pub verdict: Verdict,
    /// Description of the verdict for people.
    pub message: String,
    /// Age of the reconciliation counters, in milliseconds, which are read separately from the queue; null if they were
    /// never read.
    #[serde(default)]
    pub age_ms: Option<u64>,
    /// Rides that were accepted.
    pub accepted: Reading<u64>,
    /// Settled rides of Skilift's publishers.
    pub settled: Reading<u64>,
    /// Lines of replayed dead letters that were settled.
    pub replayed: Reading<u64>,
    /// Lines of foreign messages: sent by other programs.
    pub foreign: Reading<u64>,
    /// Rides that were added to the ledger.
    pub applied: Reading<u64>,
    /// Rides that were already in the ledger: `settled + replayed + foreign - applied - dead`.
    pub duplicate: Reading<u64>,
    /// Lines that could not be applied.
    pub dead_letters: Reading<u64>,
    /// Dead letters that were discarded.
    pub discarded: Reading<u64>,
    /// Rides accepted and not yet settled.
    pub outstanding: Reading<u64>,
    /// Messages confirmed and not yet settled.
    pub outstanding_messages: Reading<u64>,
    /// Lost messages. Must be 0.
    pub lost_messages: Reading<u64>,
    /// The first hundred ranges of lost messages: an id, or `EPOCH-CHANNEL-FIRST..LAST`.
    pub lost_message_ids: Vec<String>,
}

/// Verdict of the reconciliation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every accepted ride is settled.
    Balanced,
    /// Accepted rides are in flight, none is missing.
    InFlight,
    /// Messages are overdue, possibly lost.
    SuspectedLoss,
    /// Messages are lost.
    Loss,
    /// A required number is unknown.
    Unknown,
}

impl Verdict {
    /// The verdict in words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::InFlight => "in flight",
            Self::SuspectedLoss => "suspected loss",
            Self::Loss => "loss",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
