//! Since when alarms are raised, also across restarts of the console.

use std::collections::{BTreeMap, BTreeSet};

use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};

use crate::state::RaisedAlarm;
use crate::view::alarm::{AlarmCode, AlarmView};
use crate::view::queue::QueueView;

/// Time after the console's start within which every cause is seen again that is still there.
const SEEN_AGAIN_MS: u64 = 120_000;

/// When each alarm was raised.
pub(super) struct Raised {
    table: Table<RaisedAlarm>,
    since_at_ms: BTreeMap<String, u64>,
    /// Alarms of an earlier process that were not raised by this one yet.
    restored: BTreeSet<String>,
}

impl Raised {
    /// Opens the table with the alarms that were raised when the console ended.
    pub(super) fn open(table: Table<RaisedAlarm>) -> Result<Self, DiskError> {
        let mut since_at_ms = BTreeMap::new();
        for (code, stored) in table.range(.., usize::MAX)? {
            let code = String::from_utf8_lossy(&code).into_owned();
            since_at_ms.insert(code, stored.since_at_ms);
        }
        Ok(Self {
            table,
            restored: since_at_ms.keys().cloned().collect(),
            since_at_ms,
        })
    }

    /// Whether an alarm was raised at the last look, or by an earlier process that ended not long ago.
    pub(super) fn is_raised(&self, code: AlarmCode) -> bool {
        self.since_at_ms.contains_key(&code.to_string())
    }

    /// Sets since when each alarm is raised, and returns what is to be written. The console has run for `ran_ms`. A pause has a
    /// time of its own.
    pub(super) fn date(
        &mut self,
        alarms: &mut [AlarmView],
        view: &QueueView,
        now_ms: u64,
        ran_ms: u64,
    ) -> WriteBatch {
        let mut changes = WriteBatch::default();
        let codes: BTreeSet<String> = alarms.iter().map(|of| of.code.to_string()).collect();
        self.restored.retain(|code| !codes.contains(code));
        if ran_ms >= SEEN_AGAIN_MS {
            self.restored.clear();
        }
        let (table, restored) = (&self.table, &self.restored);
        self.since_at_ms.retain(|code, _| {
            let is_raised = codes.contains(code) || restored.contains(code);
            if !is_raised {
                table.remove(&mut changes, code.as_bytes());
            }
            is_raised
        });
        for alarm in alarms {
            let code = alarm.code.to_string();
            let since_at_ms = *self.since_at_ms.entry(code).or_insert_with_key(|code| {
                let stored = RaisedAlarm {
                    since_at_ms: now_ms,
                };
                table.put(&mut changes, code.as_bytes(), &stored);
                now_ms
            });
            alarm.since_at_ms = match &view.paused {
                Some(pause) if alarm.code == AlarmCode::Paused => pause.paused_at_ms,
                _ => since_at_ms,
            };
        }
        changes
    }
}
