//! Lines of the audit: who did what, and what came of it. They get their number and time when they are written.

use crate::access::Caller;
use crate::view::audit::{AuditEntry, AuditOutcome};

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

/// The line of an attempt that was refused.
pub(crate) fn refused(line: AuditEntry, why: impl Into<String>) -> AuditEntry {
    AuditEntry {
        outcome: AuditOutcome::Refused,
        message: Some(why.into()),
        ..line
    }
}
