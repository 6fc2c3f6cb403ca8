//! The audit log: who did what, and the outcome. Entries get their number and time when they are written.

pub(crate) mod unauthenticated;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;

use crate::access::Caller;
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::{AuditEntry, AuditOutcome, AuditView};

/// Maximum stored length of a reason, in characters.
const MESSAGE_CHARS: usize = 500;
/// Maximum entries read per query, when few of them match.
const MAX_READ: usize = 20_000;
/// Entries per read.
const PAGE: usize = 500;

/// An entry for an action of a caller.
pub(crate) fn by(caller: &Caller, action: &str) -> AuditEntry {
    AuditEntry {
        actor: caller.name.clone(),
        role: Some(caller.role.to_string()),
        source_ip: caller.from.address.map(|address| address.to_string()),
        user_agent: caller.from.agent.clone(),
        ..own(action)
    }
}

/// An entry for an action of the console itself.
pub(crate) fn own(action: &str) -> AuditEntry {
    AuditEntry {
        number: 0,
        at_ms: 0,
        actor: "console".to_owned(),
        role: None,
        source_ip: None,
        user_agent: None,
        action: action.to_owned(),
        target: None,
        plan: None,
        before: None,
        after: None,
        outcome: AuditOutcome::Succeeded,
        reason: None,
    }
}

/// The entry for a refused attempt. Its reason is shortened: it may contain request data of unauthenticated callers.
pub(crate) fn refused(line: AuditEntry, why: &str) -> AuditEntry {
    AuditEntry {
        outcome: AuditOutcome::Refused,
        reason: Some(why.chars().take(MESSAGE_CHARS).collect()),
        ..line
    }
}

/// The entry for an attempt that the caller's role or login does not permit.
pub(crate) fn denied(line: AuditEntry, why: &str) -> AuditEntry {
    AuditEntry {
        outcome: AuditOutcome::Denied,
        ..refused(line, why)
    }
}

/// Records a refusal of an authenticated caller, unless the rate limit for refusals is exceeded.
pub(crate) async fn record_refusal(
    console: &Console,
    caller: &Caller,
    entry: AuditEntry,
) -> Result<(), DiskError> {
    let refusal_limiter = &console.access.refusal_limiter;
    if refusal_limiter
        .take(Some(&caller.token), None, epoch_ms())
        .is_err()
    {
        return Ok(());
    }
    let lines = vec![entry];
    let state = &console.state;
    state
        .commit("audit a refusal", WriteBatch::default(), lines)
        .await
}

/// A selection of entries. What is `None` selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    /// The user or token.
    pub(crate) actor: Option<String>,
    /// The action.
    pub(crate) action: Option<String>,
    /// The outcome.
    pub(crate) outcome: Option<AuditOutcome>,
    /// The earliest time, in milliseconds since 1970.
    pub(crate) since_ms: Option<u64>,
}

impl AuditFilter {
    /// Whether it selects an entry.
    pub(crate) fn fits(&self, entry: &AuditEntry) -> bool {
        let is_same = |wanted: &Option<String>, actual: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == actual)
        };
        is_same(&self.actor, &entry.actor)
            && is_same(&self.action, &entry.action)
            && self.outcome.is_none_or(|wanted| wanted == entry.outcome)
            && !self.is_too_old(entry)
    }

    fn is_too_old(&self, entry: &AuditEntry) -> bool {
        self.since_ms.is_some_and(|since_ms| entry.at_ms < since_ms)
    }
}

/// Up to `limit` selected entries with numbers below `before`, newest first. It reads from disk and may take a while: call it
/// where blocking is allowed.
///
/// # Errors
/// If the data directory cannot be read.
pub(crate) fn page(
    console: &Console,
    filter: &AuditFilter,
    before: Option<u64>,
    limit: usize,
) -> Result<AuditView, Error> {
    let mut entries = Vec::new();
    let mut before = before.unwrap_or(u64::MAX);
    for _ in 0..MAX_READ / PAGE {
        let lines = console.state.audit_before(before, PAGE)?;
        // One entry that is too old does not end it: the clock may have been set back.
        let is_end = lines.len() < PAGE || lines.iter().all(|line| filter.is_too_old(line));
        for line in lines {
            before = line.number;
            if filter.fits(&line) {
                entries.push(line);
            }
            if entries.len() == limit {
                let next = (before > 1).then_some(before);
                return Ok(AuditView { entries, next });
            }
        }
        if is_end {
            return Ok(AuditView {
                entries,
                next: None,
            });
        }
    }
    let next = Some(before);
    Ok(AuditView { entries, next })
}
