//! Since when alarms are raised.

use std::collections::BTreeMap;

use crate::view::alarm::{AlarmCode, AlarmView};
use crate::view::queue::QueueView;

/// When each alarm was raised, in milliseconds since 1970.
#[derive(Default)]
pub(super) struct Raised(BTreeMap<AlarmCode, u64>);

impl Raised {
    /// Sets since when each alarm is raised. A pause has a time of its own.
    pub(super) fn date(&mut self, alarms: &mut [AlarmView], view: &QueueView, now_ms: u64) {
        let is_raised = |code: &AlarmCode| alarms.iter().any(|alarm| alarm.code == *code);
        self.0.retain(|code, _| is_raised(code));
        for alarm in alarms {
            let since = *self.0.entry(alarm.code).or_insert(now_ms);
            alarm.since_at_ms = match &view.paused {
                Some(pause) if alarm.code == AlarmCode::Paused => pause.paused_at_ms,
                _ => since,
            };
        }
    }
}
