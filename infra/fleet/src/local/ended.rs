//! How a child exited.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::instance::StateReason;

/// How a child exited: its code, or the signal that killed it.
pub(super) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "exited with an unknown status".to_owned(),
    }
}

/// The reason of a child that exited unexpectedly.
pub(super) fn reason(status: ExitStatus, then: &str) -> StateReason {
    let code = match status.code() {
        Some(_) => "exited",
        None => "killed",
    };
    let message = format!("{}{then}", how(status));
    reason_of(code, message)
}

/// A reason for programs and for people.
pub(super) fn reason_of(code: &str, message: String) -> StateReason {
    StateReason {
        code: code.to_owned(),
        message,
    }
}
