//! Whether Redis keeps acknowledged writes after a crash of its process or host.

use std::fmt;

use deadpool_redis::Connection;
use serde::{Deserialize, Serialize};

use super::{StoreError, failed};
use crate::service_url::ServiceUrl;

/// What says that Redis keeps acknowledged writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreDurability {
    /// Its settings prove it; a Redis that does not report them is refused.
    #[default]
    Checked,
    /// The provider of the service promises it, as AWS does for `MemoryDB`; its settings are not read.
    Managed,
    /// Nothing: the most recently acknowledged rides may be lost.
    Lossy,
}

impl fmt::Display for StoreDurability {
    /// As in JSON and on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checked => "checked",
            Self::Managed => "managed",
            Self::Lossy => "lossy",
        })
    }
}

/// Required settings, so that an acknowledged ride is durable.
const REQUIRED: [(&str, &str); 4] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    // With "yes" nothing is fsynced while the file is rewritten, even with "always".
    ("no-appendfsync-on-rewrite", "no"),
    // Any other policy evicts rides when memory is short.
    ("maxmemory-policy", "noeviction"),
];

/// A setting that lets acknowledged rides be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    setting: &'static str,
    required: &'static str,
    /// `None` if Redis does not report it.
    found: Option<String>,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            required,
            found,
        } = self;
        match found {
            Some(found) => write!(f, "{setting} is {found}, not {required}"),
            None => write!(f, "{setting} is not reported and must be {required}"),
        }
    }
}

/// All weaknesses in one line.
pub(in crate::store) fn list(weaknesses: &[Weakness]) -> String {
    let texts: Vec<String> = weaknesses.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Reads Redis' settings and rejects weak ones, unless the provider promises durability or the loss is accepted.
pub(super) async fn check(
    connection: &mut Connection,
    url: &ServiceUrl,
    durability: StoreDurability,
) -> Result<(), StoreError> {
    if durability == StoreDurability::Managed {
        return Ok(());
    }
    let weaknesses = weaknesses(connection).await?;
    if weaknesses.is_empty() {
        return Ok(());
    }
    let url = url.to_string();
    if durability == StoreDurability::Checked {
        return Err(StoreError::NotDurable { url, weaknesses });
    }
    tracing::warn!(
        "Redis at {url} may lose acknowledged rides; accepted by --store-durability lossy: {}",
        list(&weaknesses)
    );
    Ok(())
}

/// Reads Redis' settings and returns the weak ones.
pub(super) async fn weaknesses(connection: &mut Connection) -> Result<Vec<Weakness>, StoreError> {
    let mut weaknesses = Vec::new();
    for (setting, required) in REQUIRED {
        let answer: redis::RedisResult<Vec<String>> = redis::cmd("CONFIG")
            .arg("GET")
            .arg(setting)
            .query_async(connection)
            .await;
        let found = match answer {
            Ok(pair) => pair.into_iter().nth(1),
            // Hosted servers and strict ACLs do not report settings: durability is then not proven.
            Err(error) if is_not_told(&error) => None,
            Err(error) => return Err(failed("report its settings")(error)),
        };
        if found.as_deref() != Some(required) {
            weaknesses.push(Weakness {
                setting,
                required,
                found,
            });
        }
    }
    Ok(weaknesses)
}

/// Whether the command is not available or not permitted, as opposed to a timeout or lack of memory.
fn is_not_told(error: &redis::RedisError) -> bool {
    let unknown = || {
        error
            .detail()
            .is_some_and(|text| text.contains("unknown command"))
    };
    error.code() == Some("NOPERM") || (error.code() == Some("ERR") && unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weakness_says_what_is_and_what_must_be() {
        let weaknesses = [
            Weakness {
                setting: "appendfsync",
                required: "always",
                found: Some("no".into()),
            },
            Weakness {
                setting: "appendonly",
                required: "yes",
                found: None,
            },
        ];
        assert_eq!(
            list(&weaknesses),
            "appendfsync is no, not always; appendonly is not reported and must be yes"
        );
    }
}
