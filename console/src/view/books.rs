//! The books, as [`skilift_core::books`] keeps them, and the verdict on them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;

/// `GET /admin/v1/books`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BooksView {
    /// What follows from the numbers.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub says: String,
    /// How long ago the books were read, in milliseconds: at another moment than the queue. Null while they never were.
    #[serde(default)]
    pub age_ms: Option<u64>,
    /// Rides that were accepted.
    pub accepted: Reading<u64>,
    /// Rides of our publishers that were settled.
    pub settled: Reading<u64>,
    /// Lines of dead letters that were sent again and settled.
    pub replayed: Reading<u64>,
    /// Lines of messages that nobody of ours sent.
    pub foreign: Reading<u64>,
    /// Rides that were new in the ledger.
    pub applied: Reading<u64>,
    /// Rides that were in the ledger already: `settled + replayed + foreign - applied - dead`.
    pub duplicate: Reading<u64>,
    /// Lines that could not be applied.
    pub dead: Reading<u64>,
    /// Dead letters that were discarded.
    pub discarded: Reading<u64>,
    /// Rides that were accepted and are not settled.
    pub outstanding: Reading<u64>,
    /// Messages of which the same is true.
    pub outstanding_messages: Reading<u64>,
    /// Messages that are gone. It must be 0.
    pub lost_messages: Reading<u64>,
    /// Which they are: their ids, the first hundred.
    pub lost: Vec<String>,
}

/// What follows from the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every accepted ride is settled.
    Closed,
    /// Accepted rides are on their way, none is missing.
    Open,
    /// Messages are overdue: it cannot be told yet whether they are lost.
    Suspect,
    /// Messages are lost: the alarm.
    Lost,
    /// A number that it needs is unknown.
    Unknown,
}
