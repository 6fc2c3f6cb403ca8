//! Who did what, and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/audit`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Pass it as `before` to see older ones; null where there are none.
    pub next: Option<u64>,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number: 1, 2, 3 and so on without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who: the user or token, "console" for what it does by itself, "unknown" for who could not say.
    pub who: String,
    /// His role, where he has one.
    pub role: Option<String>,
    /// From where.
    pub from: Option<String>,
    /// With what: the user agent.
    pub agent: Option<String>,
    /// What, in a word: "login", "plan", "apply".
    pub action: String,
    /// To what, in words.
    pub target: Option<String>,
    /// The plan.
    pub plan: Option<String>,
    /// What it was.
    pub before: Option<String>,
    /// What it became.
    pub after: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Why it was refused or failed, or for what reason it was overridden.
    pub message: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was begun.
    Begun,
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// It failed, wholly or in part.
    Failed,
}
