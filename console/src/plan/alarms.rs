//! Acknowledges alarms.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;

use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::error::Error;
use crate::state::{Acknowledgement, RaisedAlarm};
use crate::view::alarm::{AlarmCode, AlarmView};

/// Maximum bytes of a reason.
const MAX_REASON: usize = 500;

/// Acknowledges the alarm of this kind that is raised now.
pub(super) fn acknowledge(
    console: &Arc<Console>,
    code: AlarmCode,
    reason: Option<&str>,
    by: &str,
) -> Result<PlannedChange, Error> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    if reason.is_some_and(|reason| reason.len() > MAX_REASON || reason.contains(char::is_control)) {
        return Err(Error::invalid(format!(
            "the reason must be one line of at most {MAX_REASON} bytes"
        )));
    }
    let latest = console.monitor.latest();
    let alarms = latest.as_ref().map_or(&[][..], |seen| &seen.queue.alarms);
    let alarm = alarms.iter().find(|alarm| alarm.code == code);
    let none = || Error::not_found(format!("no alarm {code} is raised now"));
    let alarm = alarm.ok_or_else(none)?;
    let AlarmView {
        since_at_ms, count, ..
    } = alarm;
    let basis = format!("acknowledge {code} {since_at_ms} {count}");
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
            "it stays listed until its cause is gone, and does not count for the verdict and the exit code of `skictl status` unless it grows",
        );
    let acknowledgement = Acknowledgement {
        since_at_ms: alarm.since_at_ms,
        count: alarm.count,
        severity: Some(alarm.severity),
        by: by.to_owned(),
        at_ms: epoch_ms(),
        reason: reason.map(str::to_owned),
    };
    let (state, changes) = (&console.state, &mut prepared.mutation.changes);
    let code = code.to_string();
    let raised = RaisedAlarm {
        since_at_ms: alarm.since_at_ms,
    };
    state.raised_alarms.put(changes, code.as_bytes(), &raised);
    state
        .acknowledgements
        .put(changes, code.as_bytes(), &acknowledgement);
    Ok(prepared)
}
