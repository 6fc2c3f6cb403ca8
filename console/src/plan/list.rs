//! The list of plans.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;

use super::word;
use crate::console::Console;
use crate::error::Error;
use crate::state::plan_number;
use crate::view::plan::{PlanList, PlanState, PlanSummary, PlanView};

/// Up to `limit` plans, newest first; those before the plan `before`, if given. It reads from disk and may take a while: call
/// it where that is allowed.
///
/// # Errors
/// If `before` is no id of a plan, or the data directory cannot be read.
pub(crate) fn list(
    console: &Arc<Console>,
    before: Option<&str>,
    limit: usize,
) -> Result<PlanList, Error> {
    let number = |id| {
        let why = || Error::invalid("before must be the ID of a plan, for example p7");
        plan_number(id).ok_or_else(why)
    };
    let before = before.map(number).transpose()?.unwrap_or(u64::MAX);
    let plans = console.state.plans_before(before, limit)?;
    let next = match plans.last() {
        Some(oldest) if plans.len() == limit && oldest.id != "p1" => Some(oldest.id.clone()),
        _ => None,
    };
    Ok(PlanList {
        plans: plans.iter().map(|plan| summary(console, plan)).collect(),
        next,
    })
}

fn summary(console: &Arc<Console>, plan: &PlanView) -> PlanSummary {
    let is_current = || plan.expires_at_ms > epoch_ms() && super::is_current(console, plan);
    let steps = plan.outcome.as_ref().map(|outcome| &outcome.steps);
    PlanSummary {
        id: plan.id.clone(),
        change: word(&plan.change).to_owned(),
        command: plan.command.clone(),
        created_by: plan.created_by.clone(),
        created_at_ms: plan.created_at_ms,
        danger: plan.danger,
        state: match plan.state {
            PlanState::Planned if !is_current() => PlanState::Stale,
            state => state,
        },
        is_refused: plan.refusals.iter().any(|refusal| !refusal.can_override),
        is_cancelling: plan.is_cancelling,
        steps_done: steps.map(|steps| steps.iter().filter(|step| step.done).count()),
        steps: steps.map_or(plan.actions.len(), Vec::len),
        result: plan.outcome.as_ref().map(|outcome| outcome.result),
    }
}
