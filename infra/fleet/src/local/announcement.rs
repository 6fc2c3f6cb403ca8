//! What a child prints on stdout when it is up.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One line of JSON: the first output of a child on stdout, when it is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Address of its health and metrics.
    pub private: SocketAddr,
    /// Address of its public API, if it serves one.
    pub public: Option<SocketAddr>,
}

impl Announcement {
    /// The line, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        // Two addresses can always be serialised.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{json}\n")
    }

    /// Parses an announcement; `None` for other lines.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}
