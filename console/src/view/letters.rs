//! Dead letters: lines that could not be applied, in the console's store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/letters`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LettersView {
    /// How many there are in the store.
    pub total: u64,
    /// Newest first.
    pub letters: Vec<LetterView>,
    /// Pass it as `before` to see older ones; null where there are none.
    pub next: Option<String>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LetterView {
    /// By what it is known: its message's id and its line, or a hash of a line that nobody of ours sent.
    pub id: String,
    /// Why it could not be applied.
    pub reason: String,
    /// The line; what of it is not UTF-8 stands as U+FFFD.
    pub line: String,
    /// When the console took it, in milliseconds since 1970.
    pub at_ms: u64,
    /// How often it was sent again.
    pub replays: u64,
    /// When it was sent again last, in milliseconds since 1970.
    pub replayed_at_ms: Option<u64>,
    /// Where it is.
    pub state: LetterState,
}

/// Where a dead letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LetterState {
    /// It waits for somebody to decide.
    Dead,
    /// It was sent again and did not come back.
    Replayed,
}
