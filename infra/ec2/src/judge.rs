//! What a description of a machine says about what was asked of it.

use tokio::time::Instant;

use super::call::Seen;
use super::pace::GRACE;
use skilift_fleet::instance::{Instance, InstanceState, StateReason};
use skilift_fleet::outcome::{OutcomeCode, Verb};

/// What is known of a machine beside its description.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether a call that named it was sent, be it that EC2 refused that.
    pub(super) was_named: bool,
    pub(super) called: Called,
    /// Why it was in its state when the call was made.
    pub(super) reason_before: Option<StateReason>,
    /// Whether it was seen on its way since.
    pub(super) was_moving: bool,
}

/// What became of the last call for a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Called {
    /// There was none that could have had an effect.
    #[default]
    Not,
    /// EC2 accepted it.
    Accepted(Instant),
    /// Nobody knows: no answer came, or that EC2 failed.
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

/// What follows from a description.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is to be called.
    Call,
    /// It is to be looked at again; how far it is.
    Wait(String),
    /// It runs as it shall, and is to be asked whether it is well.
    Check,
    /// Nothing more comes.
    End(OutcomeCode, String),
}

/// Judges one machine that was described.
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
            Verdict::End(OutcomeCode::Already, "it runs already".to_owned())
        }
        (Verb::Stop, InstanceState::Stopped) if known.was_named => {
            Verdict::End(OutcomeCode::Done, "stopped".to_owned())
        }
        (Verb::Stop, InstanceState::Stopped) => {
            Verdict::End(OutcomeCode::Already, "it is stopped already".to_owned())
        }
        (_, state) if state.is_gone() => gone(verb, instance, known),
        (Verb::Start, InstanceState::Pending) => Verdict::Wait("pending".to_owned()),
        (Verb::Stop, InstanceState::Stopping) => Verdict::Wait("stopping".to_owned()),
        (Verb::Start, InstanceState::Stopping) => match known.called {
            Called::Not => Verdict::Wait("it is still stopping, and is started then".to_owned()),
            _ => Verdict::Wait("stopping".to_owned()),
        },
        (Verb::Stop, InstanceState::Pending) => {
            Verdict::Wait("it is still starting, and is stopped then".to_owned())
        }
        (Verb::Start, _) => startable(instance, known, now),
        (Verb::Stop, _) => stoppable(instance, known, now),
    }
}

/// Whose it is, where it is not ours to start and stop: the tags are asked here too, not only in the IAM policy.
pub(super) fn not_ours(stack: &str, seen: &Seen) -> Option<String> {
    match &seen.stack {
        None => Some("it has no tag skilift:stack: it is not one of this stack".to_owned()),
        Some(other) if other != stack => Some(format!("it belongs to the stack {other}")),
        Some(_) if !seen.instance.is_scaled() => Some(format!(
            "its role is {:?}: only api and worker are started and stopped here",
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
        called if called.is_recent(now) => Verdict::Wait("not seen to start yet".to_owned()),
        Called::Accepted(_) => fell_back(instance),
        Called::Unsure(_) if known.was_moving => fell_back(instance),
        // It never arrived.
        Called::Unsure(_) => call(instance, known),
    }
}

fn stoppable(instance: &Instance, known: &mut Known, now: Instant) -> Verdict {
    match known.called {
        Called::Not => call(instance, known),
        called if called.is_recent(now) => Verdict::Wait("not seen to stop yet".to_owned()),
        _ if known.was_moving => Verdict::End(
            OutcomeCode::WrongState,
            "it runs again: somebody has started it meanwhile".to_owned(),
        ),
        Called::Accepted(_) => Verdict::Wait("EC2 accepted the stop; it still runs".to_owned()),
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

/// A start that EC2 accepted and that came to nothing. It says why in `StateReason`, where its own waiters do not look.
fn fell_back(instance: &Instance) -> Verdict {
    let Some(reason) = &instance.reason else {
        let why = format!(
            "EC2 accepted the start, and it is {} again without a reason: start it once more, or look at its console output",
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
        "it began to start and is {} again: {reason}",
        instance.state
    );
    Verdict::End(code, why)
}

fn gone(verb: Verb, instance: &Instance, known: &Known) -> Verdict {
    if verb == Verb::Start && known.called != Called::Not {
        return fell_back(instance);
    }
    let why = format!("it is {}: it is gone for ever", instance.state);
    Verdict::End(OutcomeCode::WrongState, why)
}
