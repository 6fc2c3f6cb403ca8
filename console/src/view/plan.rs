//! A plan: what a change would do, before it does it; and what came of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change::Change;
use super::cost::CostChangeView;

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
    /// What would change of the cost, where machines are started or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostChangeView>,
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
    /// The machine, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineView>,
}

/// A machine that something is done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineView {
    /// What it does.
    pub role: String,
    /// Its type.
    pub instance_type: String,
    /// Where it stands.
    pub zone: String,
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
    /// Of what kind it is, where a script may want to know: "denied" when whoever owns the machines refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<StepCode>,
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
    /// What to know of it, why it failed above all; while it goes on, how far it is.
    pub message: Option<String>,
    /// What came of a machine, for scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<StepCode>,
    /// The machine that was started in its place, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

impl StepView {
    /// An action to which nothing was done yet.
    #[must_use]
    pub fn of(action: ActionView) -> Self {
        Self {
            action,
            done: false,
            message: None,
            code: None,
            instead: None,
        }
    }
}

/// What came of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepCode {
    /// It was done, and is seen to be so.
    Done,
    /// It was so already.
    Already,
    /// Nothing was done to it yet.
    Waiting,
    /// It is under way.
    UnderWay,
    /// Its state does not allow it.
    WrongState,
    /// There is no such machine.
    NotFound,
    /// What was asked for is no id.
    BadId,
    /// It is not one of the stack's API nodes or workers.
    NotOurs,
    /// It can be neither started nor stopped here.
    Obstacle,
    /// It is protected from being stopped.
    Protected,
    /// The console may not.
    Denied,
    /// The console's credentials do not count.
    Credentials,
    /// There is no room for it now.
    NoCapacity,
    /// The account's limit is reached.
    Quota,
    /// Asked too often.
    Throttled,
    /// It began to start, and fell back.
    FellBack,
    /// It was not seen to be done in time.
    TimedOut,
    /// Nobody answers, so that it is not known.
    Unreachable,
    /// Refused for another reason.
    Refused,
    /// It runs, and no node on it is heard.
    NoNode,
    /// Its node did not finish in time, and goes on working.
    NotDrained,
}
