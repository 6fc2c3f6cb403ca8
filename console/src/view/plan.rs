//! A plan: what a change would do, and its outcome after it is applied.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::Change;
use super::cost::CostChangeView;

/// `POST /admin/v1/plans` and `GET /admin/v1/plans/{id}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// Its id.
    pub id: String,
    /// The requested change.
    pub change: Change,
    /// The `skictl` command that plans the same change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The user or token that requested it.
    pub created_by: String,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it expires, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// Hash of the state it depends on; if that state changes, the plan is stale.
    pub fingerprint: String,
    /// The actions, in order. Empty if everything is already in the requested state.
    pub actions: Vec<ActionView>,
    /// Side effects, for example on the backlog, the time to drain or gates.
    pub effects: Vec<String>,
    /// Change of the cost, if instances are started or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostChangeView>,
    /// The danger of the plan.
    pub danger: Danger,
    /// Confirmation text, required to apply a severe plan.
    pub confirm: Option<String>,
    /// Reasons why it would be refused.
    pub refusals: Vec<RefusalView>,
    /// Its state.
    pub state: PlanState,
    /// Its outcome, after it was applied.
    pub outcome: Option<OutcomeView>,
    /// Whether cancelling was requested while it is applied: no further step begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cancelling: bool,
    /// The user or token that applied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_by: Option<String>,
    /// When it was applied, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at_ms: Option<u64>,
    /// When its outcome was recorded, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}

/// One action of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionView {
    /// The action, for example "set worker threads".
    pub action: String,
    /// The target.
    pub target: String,
    /// The current state.
    pub before: Option<String>,
    /// The state afterwards.
    pub after: Option<String>,
    /// The instance, if the target is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<MachineView>,
}

/// The instance of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineView {
    /// Its role.
    pub role: String,
    /// Its type.
    pub instance_type: String,
    /// Its availability zone.
    pub zone: String,
}

/// Danger of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Danger {
    /// Nothing would change.
    None,
    /// It can be reverted, and nothing is lost.
    Moderate,
    /// Data is lost or access is opened: it requires a confirmation text.
    Severe,
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
        })
    }
}

/// Reason why a plan would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalView {
    /// The reason, and what to do about it.
    pub reason: String,
    /// Whether an admin can override it with a reason.
    pub can_override: bool,
    /// Kind of refusal, for scripts: "denied" if EC2 denies permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<StepCode>,
}

/// State of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// It can be applied.
    Planned,
    /// It is being applied.
    Applying,
    /// It was applied.
    Applied,
    /// It failed, completely or partly.
    Failed,
    /// The state it depends on has changed, or it has expired.
    Stale,
    /// It was cancelled, before it was applied or in the middle.
    Cancelled,
}

impl PlanState {
    /// The state in one word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Stale => "stale",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for PlanState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `GET /admin/v1/plans`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanList {
    /// Newest first.
    pub plans: Vec<PlanSummary>,
    /// Pass it as `before` to list older ones; null if there are none.
    pub next: Option<String>,
}

/// One plan of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanSummary {
    /// Its id.
    pub id: String,
    /// What it changes, for example "scale".
    pub change: String,
    /// The `skictl` command that plans the same change.
    pub command: String,
    /// The user or token that requested it.
    pub created_by: String,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Its danger.
    pub danger: Danger,
    /// Its state.
    pub state: PlanState,
    /// Whether a guard refuses it.
    pub is_refused: bool,
    /// Whether cancelling was requested while it is applied.
    pub is_cancelling: bool,
    /// Steps that are done, once it is applied.
    pub steps_done: Option<usize>,
    /// All its steps.
    pub steps: usize,
    /// Its result so far, once it is applied.
    pub result: Option<OutcomeResult>,
}

impl PlanSummary {
    /// Its state in one word, with what stands against it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.state {
            PlanState::Planned if self.is_refused => "refused",
            PlanState::Applying if self.is_cancelling => "cancelling",
            PlanState::Failed if self.result == Some(OutcomeResult::Partial) => "partial",
            state => state.word(),
        }
    }
}

/// `POST /admin/v1/plans/{id}/apply`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The confirmation text of [`PlanView::confirm`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Reason of an admin to override a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// The password, if the change requires one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Outcome of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// Overall result.
    pub result: OutcomeResult,
    /// Outcome of each action.
    pub steps: Vec<StepView>,
    /// The created token or key. It is shown only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Id of the created item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_id: Option<String>,
}

impl OutcomeView {
    /// The state of a plan with this result.
    #[must_use]
    pub fn state(result: OutcomeResult, steps: &[StepView]) -> PlanState {
        let is_cancelled = || {
            let mut codes = steps.iter().map(|step| step.code);
            codes.any(|code| code == Some(StepCode::Cancelled))
        };
        match result {
            OutcomeResult::Succeeded | OutcomeResult::Unchanged => PlanState::Applied,
            OutcomeResult::Running => PlanState::Applying,
            OutcomeResult::Partial | OutcomeResult::Failed if is_cancelled() => {
                PlanState::Cancelled
            }
            OutcomeResult::Partial | OutcomeResult::Failed => PlanState::Failed,
        }
    }
}

/// Overall result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeResult {
    /// All actions succeeded.
    Succeeded,
    /// It was already in the requested state.
    Unchanged,
    /// Some actions failed.
    Partial,
    /// All actions failed.
    Failed,
    /// It is still running: the steps show its progress, and the plan shows the outcome later.
    Running,
}

/// Outcome of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// The action.
    pub action: ActionView,
    /// Whether it was done.
    pub done: bool,
    /// Details, such as the reason of a failure; the progress while it is running.
    pub message: Option<String>,
    /// Result of an instance, for scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<StepCode>,
    /// The instance that was started in its place, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_instead: Option<String>,
}

impl StepView {
    /// A step for an action that has not started.
    #[must_use]
    pub fn of(action: ActionView) -> Self {
        Self {
            action,
            done: false,
            message: None,
            code: None,
            started_instead: None,
        }
    }
}

/// Result of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepCode {
    /// It was done and verified.
    Succeeded,
    /// It was already in the requested state.
    Unchanged,
    /// It has not started yet.
    Waiting,
    /// It is in progress.
    UnderWay,
    /// Its state does not allow it.
    WrongState,
    /// There is no such instance.
    NotFound,
    /// The given id is not an instance id.
    BadId,
    /// It is not one of the stack's API nodes or workers.
    NotOurs,
    /// It cannot be started or stopped here.
    Obstacle,
    /// It has stop protection.
    Protected,
    /// The console has no permission.
    Denied,
    /// The console's credentials are not valid.
    Credentials,
    /// EC2 has no capacity for it now.
    NoCapacity,
    /// The account's quota is reached.
    Quota,
    /// Throttled: too many requests.
    Throttled,
    /// It began to start, then stopped again.
    FellBack,
    /// It was not confirmed in time.
    TimedOut,
    /// The API is unreachable, so the result is unknown.
    Unreachable,
    /// Refused for another reason.
    Refused,
    /// It runs, but its node sends no heartbeats.
    NoNode,
    /// Its node did not drain in time, and keeps working.
    NotDrained,
    /// The plan was cancelled before this step was done.
    Cancelled,
}
