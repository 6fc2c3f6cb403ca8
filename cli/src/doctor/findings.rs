//! Findings of the checks.

pub(super) use skilift_console::view::doctor::{Finding, FindingState as State, Findings};

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

/// Clock differences, in milliseconds, up to which a clock is ok, and up to which it is only a warning.
const SAME_MS: u64 = 500;
const NEAR_MS: u64 = 5_000;

/// Check of a clock that is `ahead_ms` ahead of the clock of this host.
pub(super) fn clock(check: &str, whose: &str, ahead_ms: i64) -> Finding {
    let by = ahead_ms.unsigned_abs();
    let word = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let found = format!("{whose} is {by} ms {word} the clock of this host");
    let fix = "synchronise both clocks with NTP: storage latency is measured with them";
    if by <= SAME_MS {
        ok(check, found)
    } else if by <= NEAR_MS {
        warning(check, found, fix)
    } else {
        failed(check, found, fix)
    }
}
