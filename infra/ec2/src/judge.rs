//! Evaluates a description of an instance against the requested action.

use tokio::time::Instant;

use super::call::Seen;
use super::pace::GRACE;
use skilift_fleet::instance::{Instance, InstanceState, StateReason};
use skilift_fleet::outcome::{OutcomeCode, Verb};

/// State of an instance in addition to its description.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether a call with it was sent, even if EC2 refused it.
    pub(super) was_named: bool,
    pub(super) called: Called,
    /// The reason of its state when the call was sent.
    pub(super) reason_before: Option<StateReason>,
    /// Whether a transition was observed since.
    pub(super) was_moving: bool,
}

/// Result of the last call for an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Called {
    /// There was no call that could have had an effect.
    #[default]
    Not,
    /// EC2 accepted it.
    Accepted(Instant),
    /// Unknown: no response, or EC2 failed.
    Unsure(Instant),
}

impl Called {
    fn is_recent(self, now: Instant) -> bool {
        match self {
            Self::Not => false,
            Self::Accepted(at) | Self::Unsure(at) => now.duration_since(at) < GRACE,
        }
    }
}

/// Result of a description.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send a call for it.
    Call,
    /// Describe it again; its progress.
    Wait(String),
    /// It runs as requested; read its status checks.
    Check,
    /// The final outcome.
    End(OutcomeCode, String),
}

/// Evaluates one described instance.
pub(super) fn judge(
    verb: Verb,
    stack: &str,
    seen: &Seen,
    known: &mut Known,
    now: Instant,
) -> Verdict {
    let instance = &seen.instance;
    if let Some(why) = not_ours(stack, seen) {
        return Verdict::End(OutcomeCode::NotOurs, why);
    }
    let is_moving = match verb {
        Verb::Start => instance.state == InstanceState::Pending,
        Verb::Stop => instance.state == InstanceState::Stopping,
    };
    known.was_moving |= is_moving;
    match (verb, instance.state) {
        (Verb::Start, InstanceState::Running) if known.was_named => Verdict::Check,
        (Verb::Start, InstanceState::Running) => {
            Verdict::End(OutcomeCode::Already, "already running".to_owned())
        }
        (Verb::Stop, InstanceState::Stopped) if known.was_named => {
            Verdict::End(OutcomeCode::Done, "stopped".to_owned())
        }
        (Verb::Stop, InstanceState::Stopped) => {
            Verdict::End(OutcomeCode::Already, "already stopped".to_owned())
        }
        (_, state) if state.is_gone() => gone(verb, instance, known),
        (Verb::Start, InstanceState::Pending) => Verdict::Wait("pending".to_owned()),
        (Verb::Stop, InstanceState::Stopping) => Verdict::Wait("stopping".to_owned()),
        (Verb::Start, InstanceState::Stopping) => match known.called {
            Called::Not => Verdict::Wait("still stopping; will be started afterwards".to_owned()),
            _ => Verdict::Wait("stopping".to_owned()),
        },
        (Verb::Stop, InstanceState::Pending) => {
            Verdict::Wait("still starting; will be stopped afterwards".to_owned())
        }
        (Verb::Start, _) => startable(instance, known, now),
        (Verb::Stop, _) => stoppable(instance, known, now),
    }
}

/// Why an instance must not be started or stopped by this stack: the tags are checked here as well, not only in the IAM
/// policy.
pub(super) fn not_ours(stack: &str, seen: &Seen) -> Option<String> {
    match &seen.stack {
        None => Some("it has no tag skilift:stack and does not belong to this stack".to_owned()),
        Some(other) if other != stack => Some(format!("it belongs to the stack {other}")),
        Some(_) if !seen.instance.is_scaled() => Some(format!(
            "its role is {:?}; only api and worker instances can be started and stopped",
            seen.instance.role
        )),
        Some(_) => None,
    }
}

fn startable(instance: &Instance, known: &mut Known, now: Instant) -> Verdict {
    let is_news = instance.reason.is_some() && instance.reason != known.reason_before;
    match known.called {
        Called::Not => call(instance, known),
        _ if is_news => fell_back(instance),
        called if called.is_recent(now) => Verdict::Wait("start not visible yet".to_owned()),
        Called::Accepted(_) => fell_back(instance),
        Called::Unsure(_) if known.was_moving => fell_back(instance),
        // The call never arrived.
        Called::Unsure(_) => call(instance, known),
    }
}

fn stoppable(instance: &Instance, known: &mut Known, now: Instant) -> Verdict {
    match known.called {
        Called::Not => call(instance, known),
        called if called.is_recent(now) => {
            Verdict::Wait("stop requested; EC2 still reports running".to_owned())
        }
        _ if known.was_moving => Verdict::End(
            OutcomeCode::WrongState,
            "running again: it was started from outside in the meantime".to_owned(),
        ),
        Called::Accepted(_) => Verdict::Wait("EC2 accepted the stop; still running".to_owned()),
        Called::Unsure(_) => call(instance, known),
    }
}

fn call(instance: &Instance, known: &mut Known) -> Verdict {
    if let Some(obstacle) = &instance.obstacle {
        return Verdict::End(OutcomeCode::Obstacle, obstacle.to_string());
    }
    known.called = Called::Not;
    known.reason_before.clone_from(&instance.reason);
    Verdict::Call
}

/// A start that EC2 accepted but that failed. The reason is in `StateReason`, which EC2's waiters ignore.
fn fell_back(instance: &Instance) -> Verdict {
    let Some(reason) = &instance.reason else {
        let why = format!(
            "EC2 accepted the start, but it is {} again, and EC2 gave no reason; start it again, or check its console output",
            instance.state
        );
        return Verdict::End(OutcomeCode::FellBack, why);
    };
    let code = if reason.code.contains("Insufficient") {
        OutcomeCode::NoCapacity
    } else if reason.code.contains("LimitExceeded") {
        OutcomeCode::Quota
    } else {
        OutcomeCode::FellBack
    };
    let why = format!(
        "it began to start but is {} again: {reason}",
        instance.state
    );
    Verdict::End(code, why)
}

fn gone(verb: Verb, instance: &Instance, known: &Known) -> Verdict {
    if verb == Verb::Start && known.called != Called::Not {
        return fell_back(instance);
    }
    let why = format!("it is {} and cannot be used again", instance.state);
    Verdict::End(OutcomeCode::WrongState, why)
}
