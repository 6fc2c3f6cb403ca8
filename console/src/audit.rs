//! Entries of the audit log: who did what, and the outcome. They get their number and time when they are written.

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;

use crate::access::Caller;
use crate::console::Console;
use crate::view::audit::{AuditEntry, AuditOutcome};

/// Maximum stored length of a reason, in characters.
const MESSAGE_CHARS: usize = 500;

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
