//! Dead letters: lines that could not be applied, kept in the console's store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/dead-letters`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLettersView {
    /// Number of dead letters in the store.
    pub total: u64,
    /// Newest first.
    pub dead_letters: Vec<DeadLetterView>,
    /// Pass it as `before` to list older ones; null if there are none.
    pub next: Option<String>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// Its id: the message id and line number, or a hash of a foreign line.
    pub id: String,
    /// Why the line could not be applied.
    pub reason: String,
    /// The line; invalid UTF-8 is replaced by U+FFFD.
    pub line: String,
    /// When the console received it, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// How often it was replayed.
    pub replays: u64,
    /// When it was last replayed, in milliseconds since 1970.
    pub replayed_at_ms: Option<u64>,
    /// Its state.
    pub state: DeadLetterState,
}

/// State of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeadLetterState {
    /// It needs attention: replay or discard.
    Dead,
    /// It was replayed and has not been dead-lettered again.
    Replayed,
}
