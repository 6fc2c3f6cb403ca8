//! Whether another console changes the same stack: settings that it publishes are taken over or overruled, and the audit says so.

use crate::view::audit::AuditEntry;

/// For how long it is told.
const TOLD_MS: u64 = 60_000;
/// Lines that are looked at in one look.
pub(super) const MOST_LINES: usize = 100;
/// What the console does by itself when it finds settings that it did not publish.
const SIGNS: [&str; 2] = ["adopt", "insist"];

/// Follows the audit.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// The newest line that was looked at.
    seen: Option<u64>,
    /// When a sign was seen last.
    seen_at: Option<u64>,
}

impl Others {
    /// Looks at the newest lines, newest first. What stood there before the first look says nothing: a console whose folder is
    /// new takes over what it finds when it starts.
    pub(super) fn look(&mut self, newest: &[AuditEntry], now: u64) {
        let last = newest.first().map_or(0, |line| line.number);
        let seen = self.seen.replace(last).unwrap_or(last);
        let own = crate::audit::own("look").who;
        let is_sign = |line: &AuditEntry| line.who == own && SIGNS.contains(&line.action.as_str());
        if newest
            .iter()
            .any(|line| line.number > seen && is_sign(line))
        {
            self.seen_at = Some(now);
        }
    }

    /// Whether another console changed something of late.
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
        let mut others = Others::default();
        others.look(&[line(2, "adopt"), line(1, "seed")], 0);
        assert!(!others.change_this(0));
        others.look(&[line(3, "apply"), line(2, "adopt")], 1_000);
        assert!(!others.change_this(1_000));
        others.look(
            &[line(5, "apply"), line(4, "insist"), line(3, "apply")],
            2_000,
        );
        others.look(&[line(5, "apply"), line(4, "insist")], 3_000);
        assert!(others.change_this(61_999) && !others.change_this(62_000));
    }
}
