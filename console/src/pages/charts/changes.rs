//! Applied plans, from the audit log.

use crate::view::audit::{AuditEntry, AuditOutcome};

/// Maximum length of what a change did, in characters.
const MAX_CHARS: usize = 120;

/// A plan that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pages) struct AppliedChange {
    /// Number of its audit entry.
    pub(in crate::pages) number: u64,
    /// When it was applied, in milliseconds since 1970.
    pub(in crate::pages) at_ms: u64,
    /// The user or token that applied it.
    pub(in crate::pages) actor: String,
    /// What it did: "set worker threads, all workers: 2 → 4".
    pub(in crate::pages) what: String,
    /// The plan.
    pub(in crate::pages) plan: Option<String>,
}

/// Changes of access, which no curve shows: they are not marked.
const OF_ACCESS: [&str; 8] = [
    "add user",
    "set password",
    "set role",
    "remove user",
    "add token",
    "revoke token",
    "add key",
    "acknowledge",
];

/// The plans that were applied since a moment, completely, partly or until they were cancelled, oldest first.
pub(in crate::pages) fn applied_changes(
    entries: &[AuditEntry],
    since_ms: u64,
) -> Vec<AppliedChange> {
    let is_applied = |entry: &&AuditEntry| {
        let target = entry.target.as_deref().unwrap_or_default();
        entry.action == "apply"
            && !OF_ACCESS.contains(&target)
            && entry.at_ms >= since_ms
            && matches!(
                entry.outcome,
                AuditOutcome::Succeeded | AuditOutcome::Partial | AuditOutcome::Cancelled
            )
    };
    let applied = entries
        .iter()
        .filter(is_applied)
        .map(|entry| AppliedChange {
            number: entry.number,
            at_ms: entry.at_ms,
            actor: entry.actor.clone(),
            what: what(entry),
            plan: entry.plan.clone(),
        });
    let mut applied: Vec<AppliedChange> = applied.collect();
    applied.sort_by_key(|change| (change.at_ms, change.number));
    applied
}

/// What a plan did. The entry has "ACTION, TARGET: STATE" for each of its actions, before and after.
pub(in crate::pages) fn what(entry: &AuditEntry) -> String {
    let before = parts(entry.before.as_deref());
    let after = parts(entry.after.as_deref());
    let mut words: Vec<String> = Vec::new();
    for (action, state) in &after {
        let earlier = before.iter().find(|(of, _)| of == action);
        words.push(match earlier {
            Some((_, earlier)) if action.is_empty() => format!("{earlier} → {state}"),
            Some((_, earlier)) => format!("{action}: {earlier} → {state}"),
            None if action.is_empty() => (*state).to_owned(),
            None => format!("{action}: {state}"),
        });
    }
    // What was removed has no state afterwards.
    let is_removed = |of: &&(&str, &str)| after.iter().all(|(action, _)| *action != of.0);
    for (action, state) in before.iter().filter(is_removed) {
        words.push(format!("{action} (before: {state})"));
    }
    let text = if words.is_empty() {
        entry.target.clone().unwrap_or_else(|| "a plan".to_owned())
    } else {
        words.join("; ")
    };
    let text = shortened(&text);
    match entry.outcome {
        AuditOutcome::Partial | AuditOutcome::Cancelled => format!("{text} ({})", entry.outcome),
        _ => text,
    }
}

/// Actions and their states.
fn parts(text: Option<&str>) -> Vec<(&str, &str)> {
    let parts = text.into_iter().flat_map(|text| text.split("; "));
    parts
        .map(|part| part.split_once(": ").unwrap_or(("", part)))
        .collect()
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_CHARS - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit;

    fn entry(number: u64, before: Option<&str>, after: Option<&str>) -> AuditEntry {
        AuditEntry {
            number,
            at_ms: number * 1_000,
            actor: "ben".to_owned(),
            target: Some("set worker".to_owned()),
            plan: Some("p1".to_owned()),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            ..audit::own("apply")
        }
    }

    #[test]
    fn only_applied_plans_count_oldest_first() {
        let other = |outcome| AuditEntry {
            outcome,
            ..entry(4, None, None)
        };
        let entries = [
            AuditEntry {
                action: "login".to_owned(),
                ..entry(6, None, None)
            },
            AuditEntry {
                outcome: AuditOutcome::Partial,
                ..entry(5, None, None)
            },
            AuditEntry {
                outcome: AuditOutcome::Cancelled,
                ..entry(7, None, None)
            },
            other(AuditOutcome::Started),
            other(AuditOutcome::Failed),
            other(AuditOutcome::Refused),
            entry(3, None, None),
            entry(1, None, None),
        ];
        let changes = applied_changes(&entries, 2_000);
        let numbers: Vec<u64> = changes.iter().map(|change| change.number).collect();
        assert_eq!(numbers, [3, 5, 7]);
        assert_eq!(changes[0].what, "set worker");
        assert_eq!(changes[1].what, "set worker (partial)");
        assert_eq!(changes[2].what, "set worker (cancelled)");
    }

    #[test]
    fn a_change_is_one_line() {
        let what = |before, after| what(&entry(1, before, after));
        assert_eq!(
            what(
                Some("set worker threads, all workers: 2"),
                Some("set worker threads, all workers: 4; set worker batch, all workers: 100")
            ),
            "set worker threads, all workers: 2 → 4; set worker batch, all workers: 100"
        );
        assert_eq!(
            what(Some("consuming"), Some("paused")),
            "consuming → paused"
        );
        assert_eq!(
            what(Some("remove user, carl: viewer"), None),
            "remove user, carl (before: viewer)"
        );
        let long = what(None, Some(&"é".repeat(500)));
        assert_eq!(long.chars().count(), MAX_CHARS);
        assert!(long.ends_with('…'));
    }
}
