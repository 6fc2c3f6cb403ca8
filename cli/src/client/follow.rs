//! Waiting for a running plan: progress messages, the timeout, and how to follow the plan afterwards.

use std::fmt;
use std::time::Duration;

use skilift_console::view::change::Change;
use skilift_console::view::plan::{OutcomeResult, OutcomeView, PlanState, PlanView, StepView};
use tokio::time::Instant;

use super::connection::{ANSWER, ApiRequest, Console};
use super::error::ClientError;
use crate::args::scale::WaitArgs;
use skilift_console::view::figures::printable;

/// Interval between two progress queries.
const EVERY: Duration = Duration::from_secs(1);
/// Interval between two messages about the remaining work if nothing else changes.
const COUNTDOWN: Duration = Duration::from_secs(5);
/// Maximum time that the console may be unavailable; a console that restarts continues its plans.
const AWAY: Duration = Duration::from_secs(60);

/// How long to wait for a running plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Patience {
    /// Until the plan ends.
    #[default]
    End,
    /// At most this time.
    Within(Duration),
    /// Only until the plan has started.
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
    /// The default of commands that always wait.
    pub(crate) fn of_timeout(timeout: Option<Duration>) -> Self {
        timeout.map_or(Self::End, Self::Within)
    }
}

/// How to follow a plan that continues after skictl exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trail {
    plan: String,
    /// The command that shows the changed state.
    shows: &'static str,
}

impl Trail {
    pub(crate) fn of(plan: &PlanView) -> Self {
        Self {
            plan: plan.id.clone(),
            shows: command_that_shows(&plan.change),
        }
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &str {
        &self.plan
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, shows } = self;
        write!(
            f,
            "wait for it with `skictl plans show {plan} --wait`, and check with `{shows}`"
        )
    }
}

/// Prints, when a signal interrupts a command, that its plan may still be running.
pub(super) struct RunningPlanNotice(pub(super) Trail);

impl Drop for RunningPlanNotice {
    fn drop(&mut self) {
        let (plan, trail) = (self.0.plan(), &self.0);
        say!("skictl: plan {plan} may still be running on the console: {trail}");
    }
}

/// The command that shows the state that a change affects.
fn command_that_shows(change: &Change) -> &'static str {
    match change {
        Change::SetWorker { .. }
        | Change::SetApi { .. }
        | Change::SetFleet { .. }
        | Change::Rollback { .. } => "skictl settings",
        Change::Scale(_) => "skictl ec2",
        Change::Pause { .. } | Change::Resume => "skictl queue",
        Change::Drain { .. } | Change::Undrain { .. } | Change::Forget { .. } => "skictl nodes",
        Change::Replay { .. } | Change::Discard { .. } => "skictl queue dead list",
        Change::Acknowledge { .. } => "skictl status",
        Change::Repair { .. } => "skictl stats resort",
        Change::Archive(_) | Change::Restore(_) => "skictl archive list",
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

/// Gets the current state of a plan.
pub(super) async fn plan_now(console: &Console, id: &str) -> Result<PlanView, ClientError> {
    console.view(&ApiRequest::new(["plans", id])).await
}

/// The error when the outcome of a plan is unknown.
pub(super) fn outcome_unknown(plan: &PlanView) -> ClientError {
    ClientError::OutcomeUnknown {
        within: ANSWER,
        trail: Trail::of(plan),
    }
}

/// Waits for the end of a plan and prints its progress to stderr; the returned outcome is still running if the wait timed
/// out.
///
/// # Errors
/// When the state of the plan cannot be determined any more.
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
                say!("skictl: {line}");
            }
            if !goes_on {
                return Ok(outcome.clone());
            }
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return known.ok_or_else(|| outcome_unknown(plan));
        }
        let next = deadline.map_or(now + EVERY, |deadline| deadline.min(now + EVERY));
        tokio::time::sleep_until(next).await;
        let answer = plan_now(console, &plan.id);
        let seen = match deadline {
            // A query may take at most until the next one.
            Some(deadline) => match tokio::time::timeout_at(deadline + EVERY, answer).await {
                Ok(seen) => seen,
                Err(_) => return known.ok_or_else(|| outcome_unknown(plan)),
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
            // The plan has started, but has no progress yet.
            Ok(PlanView {
                state: PlanState::Applying,
                ..
            }) => away_since = None,
            Err(error) if error.may_pass() => {
                let since = *away_since.get_or_insert_with(|| {
                    say!("skictl: {error}; retrying, the plan continues");
                    Instant::now()
                });
                if since.elapsed() >= AWAY {
                    return Err(outcome_unknown(plan));
                }
            }
            Err(error) => {
                say!("skictl: {error}");
                return Err(outcome_unknown(plan));
            }
            Ok(_) => return Err(outcome_unknown(plan)),
        }
    }
}

/// The last printed message of each step, and its time.
#[derive(Debug, Default)]
struct News(Vec<Option<(String, Instant)>>);

impl News {
    fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// The lines of an outcome that have changed since the last call.
    fn of(&mut self, outcome: &OutcomeView) -> Vec<String> {
        self.0.resize(outcome.steps.len(), None);
        let mut lines = Vec::new();
        for (said, step) in self.0.iter_mut().zip(&outcome.steps) {
            let Some(line) = progress_of(step) else {
                continue;
            };
            let is_news = said.as_ref().is_none_or(|(last, at)| {
                // The number of unacked messages changes with every query.
                let counts = !step.done
                    && is_of_machine(step)
                    && without_digits(last) == without_digits(&line);
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
fn without_digits(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether a step concerns an instance, listed or not, so that its line must name it.
fn is_of_machine(step: &StepView) -> bool {
    step.action.instance.is_some() || step.code.is_some()
}

/// The progress of a step in one line; `None` if there is nothing to report.
fn progress_of(step: &StepView) -> Option<String> {
    let line = match &step.message {
        Some(message) if is_of_machine(step) => format!("{}: {message}", step.action.target),
        Some(message) => message.clone(),
        None if step.done && step.action.instance.is_some() => {
            format!("{}: done", step.action.target)
        }
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
        let action = json!({ "action": "start", "target": id, "before": null, "after": null, "instance": machine });
        json!({ "action": action, "done": done, "message": message })
    }

    fn outcome(steps: &[Value]) -> OutcomeView {
        serde_json::from_value(json!({ "result": "running", "steps": steps })).unwrap()
    }

    #[test]
    fn only_what_is_news_is_said_with_the_machine_in_front() {
        let mut news = News::default();
        let settings = json!({
            "action": { "action": "set threads", "target": "every worker", "before": "2", "after": "16" },
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
