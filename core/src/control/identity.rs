//! Names of nodes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Accepts rides and answers reads.
    Api,
    /// Stores rides.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Worker => "worker",
        })
    }
}

/// Maximum length of a node name, in bytes.
const MAX_BYTES: usize = 128;

/// A node's name, the same after each restart: role, host, and the port of its health and metrics, which no other process
/// on the host has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(String);

/// Text that is not a node name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a node name must be 1 to {MAX_BYTES} letters, digits, dots, dashes or underscores")]
pub struct InvalidNodeId;

impl NodeId {
    /// The name of a process of this role. Characters of `host` that are not allowed become dashes.
    #[must_use]
    pub fn new(role: Role, host: &str, private_port: u16) -> Self {
        let host: String = host
            .chars()
            .take(64)
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        Self(format!("{role}-{host}-{private_port}"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=MAX_BYTES).contains(&text.len()) && text.chars().all(is_allowed);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNodeId)
        }
    }
}

impl TryFrom<String> for NodeId {
    type Error = InvalidNodeId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(node: NodeId) -> Self {
        node.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The process instance of a node: a new one after each restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(u64);

impl BootId {
    /// A unique boot id.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<BootId> for String {
    fn from(boot: BootId) -> Self {
        boot.to_string()
    }
}

impl TryFrom<String> for BootId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text() {
        let node = NodeId::new(Role::Worker, "gate 7.example", 9464);
        assert_eq!(node.as_str(), "worker-gate-7.example-9464");
        assert_eq!(node.as_str().parse(), Ok(node));
        for bad in ["", "a b", "a/b", &"x".repeat(129)] {
            assert_eq!(bad.parse::<NodeId>(), Err(InvalidNodeId));
        }
        let boot = BootId::random();
        assert_eq!(BootId::try_from(boot.to_string()), Ok(boot));
    }
}
