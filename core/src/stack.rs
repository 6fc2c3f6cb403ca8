//! The name of a deployment.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stack's name: it prefixes every Redis key, names the queues and is the EC2 tag, so that stacks are isolated from each
/// other.
///
/// 1 to 40 characters, lower-case letters, digits and `-`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StackName(String);

/// An invalid stack name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stack name must be 1 to 40 lower-case letters, digits or '-' and start with a letter; {0:?} is invalid"
)]
pub struct InvalidStackName(String);

impl FromStr for StackName {
    type Err = InvalidStackName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if begins_well && text.len() <= 40 && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidStackName(text.chars().take(60).collect()))
        }
    }
}

impl TryFrom<String> for StackName {
    type Error = InvalidStackName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StackName> for String {
    fn from(name: StackName) -> Self {
        name.0
    }
}

impl Default for StackName {
    fn default() -> Self {
        Self("skilift".to_owned())
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StackName {
    /// The queue of rides on their way to the store.
    #[must_use]
    pub fn ride_queue(&self) -> String {
        format!("{self}.rides")
    }

    /// The queue of lines that could not be applied.
    #[must_use]
    pub fn dead_letter_queue(&self) -> String {
        format!("{self}.rides.dead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_what_every_system_can_spell() {
        assert_eq!(
            "alps-2".parse::<StackName>().unwrap().ride_queue(),
            "alps-2.rides"
        );
        for bad in [
            "",
            "2alps",
            "-a",
            "Alps",
            "a b",
            "a{b}",
            "a.b",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<StackName>().is_err(), "{bad}");
        }
    }
}
