//! What is found, and what that means. The JSON form is documented and stable.

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It could not be looked at, and nothing follows from that.
    NotChecked,
    /// As it should be.
    #[default]
    Ok,
    /// It works, and somebody should have a look.
    Warning,
    /// It does not work, or rides can be lost.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What, as "redis durability".
    pub(super) check: String,
    pub(super) state: State,
    /// What was seen.
    pub(super) found: String,
    /// What to do, where something is to be done.
    pub(super) fix: Option<String>,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    /// The worst of them.
    pub(super) state: State,
    pub(super) findings: Vec<Finding>,
}

impl Findings {
    pub(super) fn add(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
        let worst = self.findings.iter().map(|finding| finding.state).max();
        // What was not checked makes nothing worse than well.
        self.state = worst.unwrap_or_default().max(State::Ok);
    }
}

pub(super) fn ok(check: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding {
        check: check.into(),
        state: State::Ok,
        found: found.into(),
        fix: None,
    }
}

pub(super) fn not_checked(check: impl Into<String>, why: impl Into<String>) -> Finding {
    Finding {
        state: State::NotChecked,
        ..ok(check, why)
    }
}

pub(super) fn warning(
    check: impl Into<String>,
    found: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        state: State::Warning,
        fix: Some(fix.into()),
        ..ok(check, found)
    }
}

pub(super) fn failed(
    check: impl Into<String>,
    found: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        state: State::Failed,
        ..warning(check, found, fix)
    }
}

/// A number and what it counts.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// By how much two clocks may differ without notice, and without harm, in milliseconds.
const SAME_MS: u64 = 500;
const NEAR_MS: u64 = 5_000;

/// A clock that is `ahead_ms` before this machine's.
pub(super) fn clock(check: &str, whose: &str, ahead_ms: i64) -> Finding {
    let by = ahead_ms.unsigned_abs();
    let word = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let found = format!("{whose} is {by} ms {word} this machine's clock");
    let fix = "set both clocks by NTP: how late rides are stored is told by them";
    if by <= SAME_MS {
        ok(check, found)
    } else if by <= NEAR_MS {
        warning(check, found, fix)
    } else {
        failed(check, found, fix)
    }
}
