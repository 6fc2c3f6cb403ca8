//! Waiting for a plan that goes on: what is news of it meanwhile, when it is no longer waited for, and how to follow it then.

use std::fmt;
use std::time::Duration;

use skilift_console::view::change::Change;
use skilift_console::view::plan::{OutcomeResult, OutcomeView, PlanState, PlanView, StepView};
use tokio::time::Instant;

use super::connection::{ANSWER, Console, Question};
use super::error::ClientError;
use super::look::printable;
use crate::args::scale::WaitArgs;

/// How often it is asked how far a plan is.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is said how much is left where nothing else is news.
const COUNTDOWN: Duration = Duration::from_secs(5);
/// The console may be away for so long: one that starts anew goes on with what it had begun.
const AWAY: Duration = Duration::from_secs(60);

/// How long it is waited for a plan that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Patience {
    /// Until it ends.
    #[default]
    End,
    /// So long.
    Within(Duration),
    /// Not at all: that it goes on is enough.
    Begun,
}

impl From<WaitArgs> for Patience {
    fn from(args: WaitArgs) -> Self {
        match args {
            WaitArgs { wait: false, .. } => Self::Begun,
            WaitArgs { timeout, .. } => Self::of_timeout(timeout),
        }
    }
}

impl Patience {
    /// For what is waited for in any case.
    pub(crate) fn of_timeout(timeout: Option<Duration>) -> Self {
        timeout.map_or(Self::End, Self::Within)
    }
}

/// How a plan is followed that goes on without us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trail {
    plan: String,
    /// The command that shows what it changes.
    shows: &'static str,
    /// Whether it may take so long that there is a command which waits for it.
    can_follow: bool,
}

impl Trail {
    pub(crate) fn of(plan: &PlanView) -> Self {
        Self {
            plan: plan.id.clone(),
            shows: what_shows(&plan.change),
            can_follow: matches!(plan.change, Change::Scale(_)),
        }
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &str {
        &self.plan
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, shows, .. } = self;
        if self.can_follow {
            write!(
                f,
                "skictl scale --follow {plan} waits for its end, and {shows} shows how things are"
            )
        } else {
            write!(
                f,
                "{shows} shows how things are, and skictl audit --action apply what comes of it"
            )
        }
    }
}

/// Says, when a signal cuts a command off, that its plan may go on without us.
pub(super) struct UnderWay(pub(super) Trail);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let (plan, trail) = (self.0.plan(), &self.0);
        eprintln!("skictl: plan {plan} may go on without us: {trail}");
    }
}

/// The command that shows what a change changes.
fn what_shows(change: &Change) -> &'static str {
    match change {
        Change::SetWorker { .. }
        | Change::SetApi { .. }
        | Change::SetFleet { .. }
        | Change::Rollback { .. } => "skictl settings",
        Change::Scale(_) => "skictl ec2",
        Change::Pause | Change::Resume => "skictl queue",
        Change::Drain { .. } | Change::Undrain { .. } => "skictl nodes",
        Change::Replay { .. } | Change::Discard { .. } => "skictl queue dead list",
        Change::Repair { .. } => "skictl stats resort",
        Change::AddUser { .. }
        | Change::SetPassword { .. }
        | Change::SetRole { .. }
        | Change::RemoveUser { .. } => "skictl users",
        Change::AddToken { .. } | Change::RevokeToken { .. } => "skictl tokens",
        Change::SetIngest { .. } | Change::AddKey { .. } | Change::RevokeKey { .. } => {
            "skictl keys"
        }
    }
}

/// Asks for a plan as it is now.
pub(super) async fn plan_now(console: &Console, id: &str) -> Result<PlanView, ClientError> {
    console.view(&Question::new(["plans", id])).await
}

/// That it cannot be told what became of a plan.
pub(super) fn lost_sight(plan: &PlanView) -> ClientError {
    ClientError::UnderWay {
        within: ANSWER,
        trail: Trail::of(plan),
    }
}

/// Waits for the end of a plan that is applied, and says on stderr what is news. What it gives back goes on still when the
/// patience was over first.
///
/// # Errors
/// When nobody can say any more how far it is.
pub(super) async fn to_the_end(
    console: &Console,
    plan: &PlanView,
    mut known: Option<OutcomeView>,
    patience: Patience,
) -> Result<OutcomeView, ClientError> {
    let deadline = match patience {
        Patience::End => None,
        Patience::Within(time) => Some(Instant::now() + time),
        Patience::Begun => Some(Instant::now()),
    };
    let mut news = News::default();
    let mut away_since = None;
    loop {
        if let Some(outcome) = &known {
            let goes_on = outcome.result == OutcomeResult::Running;
            if !goes_on && !news.is_any() || goes_on && patience == Patience::Begun {
                return Ok(outcome.clone());
            }
            for line in news.of(outcome) {
                eprintln!("skictl: {line}");
            }
            if !goes_on {
                return Ok(outcome.clone());
            }
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return known.ok_or_else(|| lost_sight(plan));
        }
        let next = deadline.map_or(now + EVERY, |deadline| deadline.min(now + EVERY));
        tokio::time::sleep_until(next).await;
        let answer = plan_now(console, &plan.id);
        let seen = match deadline {
            // The last look may take as long as it takes until the next one, and no longer.
            Some(deadline) => match tokio::time::timeout_at(deadline + EVERY, answer).await {
                Ok(seen) => seen,
                Err(_) => return known.ok_or_else(|| lost_sight(plan)),
            },
            None => answer.await,
        };
        match seen {
            Ok(PlanView {
                outcome: Some(outcome),
                ..
            }) => {
                known = Some(outcome);
                away_since = None;
            }
            // It was begun, and nothing of it is known yet.
            Ok(PlanView {
                state: PlanState::Applying,
                ..
            }) => away_since = None,
            Err(error) if error.may_pass() => {
                let since = *away_since.get_or_insert_with(|| {
                    eprintln!("skictl: {error}; it is asked again, and the plan goes on");
                    Instant::now()
                });
                if since.elapsed() >= AWAY {
                    return Err(lost_sight(plan));
                }
            }
            Err(error) => {
                eprintln!("skictl: {error}");
                return Err(lost_sight(plan));
            }
            Ok(_) => return Err(lost_sight(plan)),
        }
    }
}

/// What was said of each step last, and when.
#[derive(Debug, Default)]
struct News(Vec<Option<(String, Instant)>>);

impl News {
    fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// The lines of an outcome that were not said last.
    fn of(&mut self, outcome: &OutcomeView) -> Vec<String> {
        self.0.resize(outcome.steps.len(), None);
        let mut lines = Vec::new();
        for (said, step) in self.0.iter_mut().zip(&outcome.steps) {
            let Some(line) = said_of(step) else {
                continue;
            };
            let is_news = said.as_ref().is_none_or(|(last, at)| {
                // How much a node still holds is another number at each look.
                let counts = !step.done && is_of_machine(step) && words(last) == words(&line);
                *last != line && (!counts || at.elapsed() >= COUNTDOWN)
            });
            if is_news {
                *said = Some((line.clone(), Instant::now()));
                lines.push(line);
            }
        }
        lines
    }
}

/// A line without its numbers.
fn words(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether it is one of many of which it must be said which: a machine, also one that is not listed.
fn is_of_machine(step: &StepView) -> bool {
    step.action.machine.is_some() || step.code.is_some()
}

/// How far a step is, in a line; none where there is nothing to say.
fn said_of(step: &StepView) -> Option<String> {
    let line = match &step.message {
        Some(message) if is_of_machine(step) => format!("{}: {message}", step.action.to),
        Some(message) => message.clone(),
        None if step.done && step.action.machine.is_some() => format!("{}: done", step.action.to),
        None => return None,
    };
    Some(printable(&line))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn step(id: &str, done: bool, message: Option<&str>) -> Value {
        let machine =
            json!({ "role": "worker", "instance_type": "c7g.large", "zone": "eu-central-1a" });
        let action =
            json!({ "does": "start", "to": id, "before": null, "after": null, "machine": machine });
        json!({ "action": action, "done": done, "message": message })
    }

    fn outcome(steps: &[Value]) -> OutcomeView {
        serde_json::from_value(json!({ "result": "running", "steps": steps })).unwrap()
    }

    #[test]
    fn only_what_is_news_is_said_with_the_machine_in_front() {
        let mut news = News::default();
        let settings = json!({
            "action": { "does": "set threads", "to": "every worker", "before": "2", "after": "16" },
            "done": true, "message": null,
        });
        let first = outcome(&[
            settings.clone(),
            step("i-1", false, Some("pending")),
            step("i-2", false, None),
        ]);
        assert_eq!(news.of(&first), ["i-1: pending"]);
        assert!(news.of(&first).is_empty());
        let second = outcome(&[
            settings,
            step("i-1", false, Some("pending")),
            step("i-2", true, None),
        ]);
        assert_eq!(news.of(&second), ["i-2: done"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_countdown_is_said_now_and_then() {
        let mut news = News::default();
        let mut lines = Vec::new();
        for left in (0..12).rev() {
            let message = format!("is drained: worker-a still holds {left}");
            lines.extend(news.of(&outcome(&[step("i-1", false, Some(&message))])));
            tokio::time::advance(EVERY).await;
        }
        let left: Vec<&str> = lines.iter().map(|line| &line[line.len() - 2..]).collect();
        assert_eq!(left, ["11", " 6", " 1"]);
        let stopping = outcome(&[step("i-1", false, Some("stops"))]);
        assert_eq!(news.of(&stopping), ["i-1: stops"]);
    }

    #[test]
    fn a_machine_cannot_command_the_terminal() {
        let said = outcome(&[step("i-\u{1b}[2J", false, Some("a\nb"))]);
        let lines = News::default().of(&said);
        assert_eq!(lines, ["i-\u{fffd}[2J: a\u{fffd}b"]);
    }

    #[test]
    fn patience_is_what_was_said() {
        let args = |wait, timeout| WaitArgs { wait, timeout };
        let minute = Duration::from_secs(60);
        assert_eq!(Patience::from(args(false, None)), Patience::Begun);
        assert_eq!(Patience::from(args(true, None)), Patience::End);
        let within = Patience::from(args(true, Some(minute)));
        assert_eq!(within, Patience::Within(minute));
    }
}
