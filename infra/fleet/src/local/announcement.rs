//! What a child says on its stdout once it is up.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One line of JSON: the first thing that a child says on stdout, when it has begun to work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Where its health and metrics are.
    pub private: SocketAddr,
    /// Where it serves the public API, where it does.
    pub public: Option<SocketAddr>,
}

impl Announcement {
    /// The line, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Two addresses always serialise.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{json}\n")
    }

    /// What a line announces; `None` where it is another one.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}
