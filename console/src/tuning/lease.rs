//! While a sweep runs, other changes of what it measures are refused; an admin may override that, which ends the sweep.

use std::sync::PoisonError;

use super::Tuning;
use crate::access::Caller;
use crate::view::change::Change;
use crate::view::plan::RefusalView;

/// The token id of a sweep's own plans. Ids of real tokens have no space.
pub(super) fn token(sweep: &str) -> String {
    format!("sweep {sweep}")
}

/// Notes that a change was made although a sweep is running: it ends.
pub(crate) fn note_broken(tuning: &Tuning, caller: &Caller, plan: &str) {
    if let Some(running) = &*tuning.running() {
        let by = format!("{} ({plan})", caller.name);
        let mut broken_by = running
            .broken_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        broken_by.get_or_insert(by);
    }
}

/// Why a change must wait, if so.
pub(crate) fn refusal(tuning: &Tuning, change: &Change, caller: &Caller) -> Option<RefusalView> {
    let disturbs = matches!(
        change,
        Change::SetWorker { .. }
            | Change::SetApi { .. }
            | Change::SetFleet { .. }
            | Change::Scale(_)
            | Change::Rollback { .. }
            | Change::Pause { .. }
            | Change::Drain { .. }
            | Change::Undrain { .. }
            | Change::Forget { .. }
            | Change::Replay { .. }
            | Change::Repair { .. }
            | Change::Archive(_)
            | Change::Restore(_)
    );
    let running = tuning.running().clone()?;
    if !disturbs || caller.token == token(&running.id) {
        return None;
    }
    Some(RefusalView {
        reason: format!(
            "sweep {} of {} is measuring, and this would disturb it; stop it first with `skictl tune stop {}`",
            running.id, running.by, running.id
        ),
        can_override: true,
        code: None,
    })
}
