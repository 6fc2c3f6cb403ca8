//! Detects another console that manages the same stack: its settings are imported or overwritten, which the audit log
//! records.

use crate::view::audit::AuditEntry;

/// How long the alarm stays after the last sign.
const TOLD_MS: u64 = 60_000;
/// Maximum audit entries read per collection.
pub(super) const MAX_LINES: usize = 100;
/// Audit actions of the console when it finds settings that it did not publish.
const SIGNS: [&str; 2] = ["import", "reassert"];

/// Follows the audit log.
#[derive(Debug, Default)]
pub(super) struct ConflictDetector {
    /// The newest entry that was read.
    seen: Option<u64>,
    /// When a sign was last seen.
    seen_at: Option<u64>,
}

impl ConflictDetector {
    /// Reads the newest entries, newest first. Entries from before the first read are ignored: a console with a new data
    /// directory imports existing settings at its start.
    pub(super) fn update(&mut self, newest: &[AuditEntry], now: u64) {
        let last = newest.first().map_or(0, |line| line.number);
        let seen = self.seen.replace(last).unwrap_or(last);
        let own = crate::audit::own("look").actor;
        let is_sign =
            |line: &AuditEntry| line.actor == own && SIGNS.contains(&line.action.as_str());
        if newest
            .iter()
            .any(|line| line.number > seen && is_sign(line))
        {
            self.seen_at = Some(now);
        }
    }

    /// Whether another console changed something recently.
    pub(super) fn change_this(&self, now: u64) -> bool {
        self.seen_at
            .is_some_and(|at| now.saturating_sub(at) < TOLD_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;

    #[test]
    fn what_another_console_published_is_told_for_a_minute() {
        let line = |number, action| AuditEntry {
            number,
            ..audit::own(action)
        };
        let mut conflicts = ConflictDetector::default();
        conflicts.update(&[line(2, "import"), line(1, "bootstrap")], 0);
        assert!(!conflicts.change_this(0));
        conflicts.update(&[line(3, "apply"), line(2, "import")], 1_000);
        assert!(!conflicts.change_this(1_000));
        conflicts.update(
            &[line(5, "apply"), line(4, "reassert"), line(3, "apply")],
            2_000,
        );
        conflicts.update(&[line(5, "apply"), line(4, "reassert")], 3_000);
        assert!(conflicts.change_this(61_999) && !conflicts.change_this(62_000));
    }
}
