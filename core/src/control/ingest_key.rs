//! Ingest keys: who may post rides for which resorts.
//!
//! A key is `ski_ingest_` and 256 random bits as 64 hexadecimal digits. Only its SHA-256 is kept and passed on: from 256
//! random bits nobody guesses, so that a slow hash would protect nothing.

use serde::{Deserialize, Serialize};

use crate::ride::ResortId;

/// What every ingest key begins with, so that a leaked one is recognised.
pub const PREFIX: &str = "ski_ingest_";

/// All keys that count.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IngestKeys {
    /// Grows with every change.
    pub serial: u64,
    /// The keys.
    pub keys: Vec<IngestKey>,
}

/// What an API node knows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestKey {
    /// By what operators know it.
    pub id: String,
    /// The SHA-256 of the key's text, as 64 hexadecimal digits.
    pub sha256: String,
    /// The resorts for which it counts; `None` for all.
    pub resorts: Option<Vec<ResortId>>,
}
