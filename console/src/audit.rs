//! Lines of the audit: who did what, and what came of it. They get their number and time when they are written.

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;

use crate::access::Caller;
use crate::console::Console;
use crate::view::audit::{AuditEntry, AuditOutcome};

/// How much of a reason is kept, in characters.
const MESSAGE_CHARS: usize = 500;

/// A line of what somebody did.
pub(crate) fn by(caller: &Caller, action: &str) -> AuditEntry {
    AuditEntry {
        who: caller.name.clone(),
        role: Some(caller.role.to_string()),
        from: caller.from.address.map(|address| address.to_string()),
        agent: caller.from.agent.clone(),
        ..own(action)
    }
}

/// A line of what the console did by itself.
pub(crate) fn own(action: &str) -> AuditEntry {
    AuditEntry {
        number: 0,
        at_ms: 0,
        who: "console".to_owned(),
        role: None,
        from: None,
        agent: None,
        action: action.to_owned(),
        target: None,
        plan: None,
        before: None,
        after: None,
        outcome: AuditOutcome::Done,
        message: None,
    }
}

/// The line of an attempt that was refused. Its reason is shortened: it may repeat what a stranger sent.
pub(crate) fn refused(line: AuditEntry, why: &str) -> AuditEntry {
    AuditEntry {
        outcome: AuditOutcome::Refused,
        message: Some(why.chars().take(MESSAGE_CHARS).collect()),
        ..line
    }
}

/// Writes down that somebody known was refused something, unless he is refused so often that the audit would be full of it.
pub(crate) async fn note_refusal(
    console: &Console,
    caller: &Caller,
    line: AuditEntry,
    why: &str,
) -> Result<(), DiskError> {
    let refusals = &console.access.refusals;
    if refusals
        .take(Some(&caller.token), None, epoch_ms())
        .is_err()
    {
        return Ok(());
    }
    let lines = vec![refused(line, why)];
    let state = &console.state;
    state
        .commit("audit a refusal", Changes::default(), lines)
        .await
}
