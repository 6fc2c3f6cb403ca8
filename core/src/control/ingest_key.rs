//! Ingest keys: which clients may post rides for which resorts.
//!
//! A key is `ski_ingest_` and 256 random bits as 64 hexadecimal digits. Only its SHA-256 is stored and published: 256 random
//! bits cannot be guessed, so a slow hash would not add protection.

use serde::{Deserialize, Serialize};

use crate::ride::ResortId;

/// Prefix of every ingest key, so that a leaked one is recognised.
pub const PREFIX: &str = "ski_ingest_";

/// All valid keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IngestKeys {
    /// Increases with every change.
    pub serial: u64,
    /// The keys.
    pub keys: Vec<IngestKey>,
}

/// An ingest key as known to API nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestKey {
    /// Its id, as shown to operators.
    pub id: String,
    /// The SHA-256 of the key's text, as 64 hexadecimal digits.
    pub sha256: String,
    /// The resorts for which it is valid; `None` for all.
    pub resorts: Option<Vec<ResortId>>,
}
