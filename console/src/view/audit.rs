//! The audit log: who did what, and the result.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/audit`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Pass it as `before` to list older ones; null if there are none.
    pub next: Option<u64>,
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number: 1, 2, 3, without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The user or token; "console" for actions of the console itself, "unknown" for unauthenticated callers.
    pub actor: String,
    /// Role of the actor; null if it has none.
    pub role: Option<String>,
    /// Source IP address.
    pub source_ip: Option<String>,
    /// User agent of the client.
    pub user_agent: Option<String>,
    /// The action: "login", "plan", "apply".
    pub action: String,
    /// The target of the action.
    pub target: Option<String>,
    /// The plan.
    pub plan: Option<String>,
    /// State before the action.
    pub before: Option<String>,
    /// State after the action.
    pub after: Option<String>,
    /// Outcome of the action.
    pub outcome: AuditOutcome,
    /// Why it was refused or failed, or the reason given to override a guard.
    pub reason: Option<String>,
}

impl AuditEntry {
    /// What the action changed, "pause consumption, all workers: consuming → paused", with this arrow. What is the same before
    /// and after is written once.
    #[must_use]
    pub fn change(&self, arrow: &str) -> Option<String> {
        let (before, after) = match (&self.before, &self.after) {
            (None, None) => return None,
            (Some(before), Some(after)) => (before, after),
            // What is new has no state before.
            (None, Some(after)) => return Some(after.clone()),
            (Some(before), None) => return Some(format!("{before} {arrow} –")),
        };
        let same_action = |(before, after): (&str, &str)| {
            let (action, before) = before.split_once(": ")?;
            let after = after.strip_prefix(action)?.strip_prefix(": ")?;
            Some(format!("{action}: {before} {arrow} {after}"))
        };
        let (befores, afters) = (before.split("; "), after.split("; "));
        let changes: Option<Vec<String>> = match befores.clone().count() == afters.clone().count() {
            true => befores.zip(afters).map(same_action).collect(),
            false => None,
        };
        Some(match changes {
            Some(changes) => changes.join("; "),
            None => format!("{before} {arrow} {after}"),
        })
    }

    /// Its columns as CSV.
    pub const COLUMNS: [&str; 13] = [
        "number",
        "at_ms",
        "actor",
        "role",
        "source_ip",
        "user_agent",
        "action",
        "target",
        "plan",
        "before",
        "after",
        "outcome",
        "reason",
    ];
}

/// Outcome of the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was planned, and nothing was changed.
    Planned,
    /// It was started.
    Started,
    /// It succeeded.
    Succeeded,
    /// It succeeded in part.
    Partial,
    /// It was cancelled in the middle.
    Cancelled,
    /// The caller's role or login does not permit it.
    Denied,
    /// A guard or a precondition refused it.
    Refused,
    /// It failed.
    Failed,
}

impl AuditOutcome {
    /// The outcome in one word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for AuditOutcome {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let all = [
            Self::Planned,
            Self::Started,
            Self::Succeeded,
            Self::Partial,
            Self::Cancelled,
            Self::Denied,
            Self::Refused,
            Self::Failed,
        ];
        all.into_iter()
            .find(|outcome| outcome.word() == word)
            .ok_or_else(|| format!("must be one of {}", all.map(Self::word).join(", ")))
    }
}

impl std::fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_its_action_once() {
        let change = |before: Option<&str>, after: Option<&str>| {
            let entry = AuditEntry {
                before: before.map(str::to_owned),
                after: after.map(str::to_owned),
                ..crate::audit::own("apply")
            };
            entry.change("->")
        };
        assert_eq!(change(None, None), None);
        for (before, after, text) in [
            (
                Some("set x, all: 2; set y, all: 5"),
                Some("set x, all: 3; set y, all: 6"),
                "set x, all: 2 -> 3; set y, all: 5 -> 6",
            ),
            (Some("viewer"), Some("admin"), "viewer -> admin"),
            (
                Some("set x, all: 2"),
                Some("set y, all: 3"),
                "set x, all: 2 -> set y, all: 3",
            ),
            (Some("a: 1; b: 2"), Some("a: 2"), "a: 1; b: 2 -> a: 2"),
            (None, Some("key 3"), "key 3"),
            (Some("key 3"), None, "key 3 -> –"),
        ] {
            assert_eq!(change(before, after).as_deref(), Some(text));
        }
    }
}
