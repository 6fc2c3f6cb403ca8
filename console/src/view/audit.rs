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
    /// It was started.
    Started,
    /// It succeeded.
    Succeeded,
    /// It succeeded in part.
    Partial,
    /// The caller's role or login does not permit it.
    Denied,
    /// A guard or a precondition refused it.
    Refused,
    /// It failed.
    Failed,
}
