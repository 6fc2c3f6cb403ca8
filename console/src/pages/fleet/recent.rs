//! The plans that scaled the fleet last.

use skilift_core::clock::epoch_ms;

use crate::console::Console;
use crate::error::Error;
use crate::pages::html::{Markup, time};
use crate::pages::plans::plan_state;
use crate::view::change::Change;
use crate::view::plan::{PlanState, PlanView};

/// Newest plans that are looked at.
const LOOKED_AT: usize = 1_000;
/// Plans that are shown.
const SHOWN: usize = 5;

/// A plan that scaled, or is scaling.
pub(super) struct Recent {
    pub(super) id: String,
    pub(super) at: Markup,
    pub(super) command: String,
    pub(super) state: Markup,
}

/// The last ones, newest first.
pub(super) fn recent(console: &Console) -> Result<Vec<Recent>, Error> {
    let plans = console.state.plans_before(u64::MAX, LOOKED_AT)?;
    let scaling = plans.into_iter().filter(|plan| {
        let has_begun = plan.outcome.is_some() || plan.state == PlanState::Applying;
        has_begun && matches!(plan.change, Change::Scale(_))
    });
    let row = |plan: PlanView| Recent {
        at: time(plan.created_at_ms, epoch_ms()),
        command: plan.command.trim_start_matches("skictl ").to_owned(),
        state: plan_state(plan.state),
        id: plan.id,
    };
    Ok(scaling.take(SHOWN).map(row).collect())
}
