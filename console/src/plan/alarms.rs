//! Acknowledges alarms.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;

use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::error::Error;
use crate::state::Acknowledgement;
use crate::view::alarm::AlarmCode;

/// Acknowledges the alarm of this kind that is raised now.
pub(super) fn acknowledge(
    console: &Arc<Console>,
    code: AlarmCode,
    by: &str,
) -> Result<PlannedChange, Error> {
    let latest = console.monitor.latest();
    let alarms = latest.as_ref().map_or(&[][..], |seen| &seen.queue.alarms);
    let alarm = alarms.iter().find(|alarm| alarm.code == code);
    let none = || Error::not_found(format!("no alarm {code} is raised now"));
    let alarm = alarm.ok_or_else(none)?;
    let basis = format!("acknowledge {code} {}", alarm.since_at_ms);
    if alarm.acknowledged.is_some() {
        return Ok(PlannedChange::already(basis));
    }
    let mut prepared = PlannedChange::new(basis)
        .with_action(
            "acknowledge alarm",
            code.to_string(),
            Some("raised".to_owned()),
            Some("acknowledged".to_owned()),
        )
        .with_effect(
            "it stays listed until its cause is gone, and no longer counts for the verdict and the exit code of `skictl status`",
        );
    let acknowledgement = Acknowledgement {
        since_at_ms: alarm.since_at_ms,
        by: by.to_owned(),
        at_ms: epoch_ms(),
    };
    console.state.acknowledgements.put(
        &mut prepared.mutation.changes,
        code.to_string().as_bytes(),
        &acknowledgement,
    );
    Ok(prepared)
}
