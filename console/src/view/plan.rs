//! A plan: what a change would do, before it does it; and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::Change;

/// `POST /admin/v1/plans` and `GET /admin/v1/plans/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// By what it is applied.
    pub id: String,
    /// What was asked for.
    pub change: Change,
    /// Who asked for it.
    pub by: String,
    /// When it was made, in milliseconds since 1970.
    pub made_at_ms: u64,
    /// When it can no longer be applied, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// What it stands on; it is refused as stale when that changed.
    pub fingerprint: String,
    /// What would happen, in the order in which it would. Empty when all is so already.
    pub actions: Vec<ActionView>,
    /// What would happen besides, to backlog, drain time or gates.
    pub effects: Vec<String>,
    /// How dangerous it is.
    pub danger: Danger,
    /// What is to be typed before a severe plan is applied.
    pub confirm: Option<String>,
    /// Why it would be refused, when it would be.
    pub refusals: Vec<RefusalView>,
    /// Where it is.
    pub state: PlanState,
    /// What came of it, once it was applied.
    pub outcome: Option<OutcomeView>,
}

/// One thing that a plan does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionView {
    /// What, in words: "set worker threads".
    pub does: String,
    /// To what.
    pub to: String,
    /// What it is now.
    pub before: Option<String>,
    /// What it will be.
    pub after: Option<String>,
}

/// How dangerous a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Danger {
    /// Nothing would change.
    None,
    /// It can be undone, and nothing is lost.
    Moderate,
    /// Something is lost or opened: the name is to be typed.
    Severe,
}

/// Why a plan would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalView {
    /// Why, and what to do.
    pub why: String,
    /// Whether an admin may apply it all the same, with a reason.
    pub can_override: bool,
}

/// Where a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// It can be applied.
    Planned,
    /// It is being applied.
    Applying,
    /// It was applied.
    Applied,
    /// It failed, wholly or in part.
    Failed,
    /// What it stands on has changed, or it is too old.
    Stale,
}

/// `POST /admin/v1/plans/{id}/apply`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// What [`PlanView::confirm`] asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Why an admin overrides a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// The password that the change needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// Whether all of it was done.
    pub result: OutcomeResult,
    /// What came of each action.
    pub steps: Vec<StepView>,
    /// The token or key that was made. It is shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The id of what was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
}

/// Whether all of it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeResult {
    /// All of it.
    Done,
    /// It was so already.
    Already,
    /// Some of it.
    Partial,
    /// Nothing of it.
    Failed,
    /// It goes on: the steps tell how far it is, and the plan tells what came of it.
    Running,
}

/// What came of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// The action.
    pub action: ActionView,
    /// Whether it was done.
    pub done: bool,
    /// What to know of it, why it failed above all.
    pub message: Option<String>,
}
