//! Replaying and discarding dead letters.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::job_runner::{Job, Progress};
use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::dead_letters::{ReplayRate, Selection, discard, replay_selected};
use crate::error::Error;
use crate::view::change::{Change, DeadLetterSelection};
use crate::view::dead_letters::DeadLetterState;
use crate::view::figures::{counted, grouped};
use crate::view::plan::{ActionView, PlanState, StepCode, StepView};

/// Default rate, in dead letters per second.
const PER_S: f64 = 100.0;
/// Minimum and maximum rate, in dead letters per second.
const PER_S_RANGE: (f64, f64) = (0.1, 10_000.0);
/// Confirmation text for discarding dead letters permanently.
const CONFIRM: &str = "discard";

/// Replays dead letters.
pub(super) fn replay(
    console: &Arc<Console>,
    letters: &DeadLetterSelection,
    per_s: Option<f64>,
    plan: &str,
) -> Result<PlannedChange, Error> {
    let (slowest, fastest) = PER_S_RANGE;
    let per_s = per_s.unwrap_or(PER_S);
    if !(slowest..=fastest).contains(&per_s) {
        return Err(Error::invalid(format!(
            "per_s must be from {slowest} to {fastest}, not {per_s}"
        )));
    }
    let resumed = resumed(console, plan)?;
    let dead = console.dead_letters.counts().dead;
    let of_state = Some(DeadLetterState::Dead);
    let Some(chosen) = choose(console, letters, dead, of_state, resumed.is_some())? else {
        return Ok(PlannedChange::already("replay nothing"));
    };
    let action = Action {
        does: "replay",
        before: "dead",
        after: "replayed",
    };
    let seconds = (chosen.count as f64 / per_s).ceil();
    let mut prepared = action
        .prepare(&chosen)
        .with_effect(format!(
            "takes about {seconds} s at {per_s} dead letters/s; lines that still cannot be applied are dead-lettered again with the same id"
        ));
    let rate = ReplayRate {
        per_s,
        not_since_ms: resumed,
    };
    prepared.resolved = Some(Change::Replay {
        dead_letters: chosen.letters,
        per_s: Some(per_s),
    });
    let (selection, console) = (chosen.selection, Arc::clone(console));
    let of = prepared.actions[0].clone();
    let (progress, receiver) = watch::channel("sent 0".to_owned());
    let cancel = CancellationToken::new();
    if is_cancelling(&console, plan)? {
        cancel.cancel();
    }
    let until = cancel.clone();
    prepared.mutation.job = Some(Job {
        doing: async move {
            let ended = replay_selected(console, selection, rate, progress, &until).await;
            let mut steps = step(of, ended);
            for step in steps
                .iter_mut()
                .filter(|step| !step.done && until.is_cancelled())
            {
                step.code = Some(StepCode::Cancelled);
            }
            steps
        }
        .boxed(),
        progress: Progress::Words(receiver),
        cancel: Some(cancel),
    });
    Ok(prepared)
}

/// Discards dead letters.
pub(super) fn discard_letters(
    console: &Arc<Console>,
    letters: &DeadLetterSelection,
    plan: &str,
) -> Result<PlannedChange, Error> {
    let resumed = resumed(console, plan)?;
    let counts = console.dead_letters.counts();
    let all = counts.dead + counts.replayed;
    let Some(chosen) = choose(console, letters, all, None, resumed.is_some())? else {
        return Ok(PlannedChange::already("discard nothing"));
    };
    let action = Action {
        does: "discard",
        before: "stored",
        after: "discarded",
    };
    let mut prepared = action
        .prepare(&chosen)
        .with_effect("discarding is permanent: the console keeps no copy");
    if chosen.count > 1 {
        prepared = prepared.severe(CONFIRM);
    }
    prepared.resolved = Some(Change::Discard {
        dead_letters: chosen.letters,
    });
    let (selection, console) = (chosen.selection, Arc::clone(console));
    let of = prepared.actions[0].clone();
    let (progress, receiver) = watch::channel("discarded 0".to_owned());
    prepared.mutation.job = Some(Job {
        cancel: None,
        doing: async move { step(of, discard(console, selection, progress).await) }.boxed(),
        progress: Progress::Words(receiver),
    });
    Ok(prepared)
}

/// The dead letters of a plan.
struct ResolvedSelection {
    count: u64,
    /// As stored in the plan: dead letters that arrive later are not included.
    letters: DeadLetterSelection,
    selection: Selection,
    /// Description for people.
    to: String,
}

/// Resolves the selection; `None` if it is empty. `all` dead letters are in the state that it is about.
fn choose(
    console: &Console,
    letters: &DeadLetterSelection,
    all: u64,
    of_state: Option<DeadLetterState>,
    is_resumed: bool,
) -> Result<Option<ResolvedSelection>, Error> {
    let newest = console.dead_letters.counts().last;
    let check = |last: u64| match last <= newest {
        true => Ok(last),
        false => Err(Error::invalid(format!(
            "up_to must be the number of a dead letter; the newest is {newest}"
        ))),
    };
    let through = |last: u64| ResolvedSelection {
        count: all,
        letters: DeadLetterSelection::UpTo(last),
        selection: Selection::Through { last, reason: None },
        to: match all {
            1 => format!("the one dead letter, up to number {last}"),
            _ => format!("all {} dead letters, up to number {last}", grouped(all)),
        },
    };
    match letters {
        DeadLetterSelection::All if all == 0 => Ok(None),
        DeadLetterSelection::All => Ok(Some(through(newest))),
        DeadLetterSelection::UpTo(last) => Ok(Some(through(check(*last)?))),
        DeadLetterSelection::Reason { text, .. } if text.trim().is_empty() => {
            Err(Error::invalid("the text of a reason must not be empty"))
        }
        DeadLetterSelection::Reason { text, up_to } => {
            let last = check(up_to.unwrap_or(newest))?;
            let letters = &console.dead_letters;
            let count = letters.count_with_reason(last, text, of_state)?;
            // An interrupted plan goes on, also if nothing is left.
            Ok((count > 0 || is_resumed).then(|| ResolvedSelection {
                count,
                letters: DeadLetterSelection::Reason {
                    text: text.clone(),
                    up_to: Some(last),
                },
                selection: Selection::Through {
                    last,
                    reason: Some(text.clone()),
                },
                to: format!(
                    "{} whose reason contains {text:?}",
                    counted(count, "dead letter", "dead letters")
                ),
            }))
        }
        DeadLetterSelection::Ids(ids) => {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            let [first, ..] = &ids[..] else {
                return Err(Error::invalid("at least one dead letter id is required"));
            };
            for id in &ids {
                // Dead letters that the plan discarded before an interruption are not reported as missing.
                if !is_resumed && console.dead_letters.show(id)?.is_none() {
                    let shown: String = id.chars().take(100).collect();
                    return Err(Error::not_found(format!(
                        "dead letter {shown:?} does not exist; see `skictl queue dead list`"
                    )));
                }
            }
            let count = ids.len() as u64;
            Ok(Some(ResolvedSelection {
                count,
                to: match count {
                    1 => format!("dead letter {first}"),
                    _ => format!("{} dead letters", grouped(count)),
                },
                letters: DeadLetterSelection::Ids(ids.clone()),
                selection: Selection::Ids(ids),
            }))
        }
    }
}

/// When an interrupted plan was created, in milliseconds since 1970; `None` for other plans.
fn resumed(console: &Console, plan: &str) -> Result<Option<u64>, Error> {
    let found = console.state.plan(plan)?;
    let cut_off = found.filter(|plan| plan.state == PlanState::Applying);
    Ok(cut_off.map(|plan| plan.created_at_ms))
}

/// Whether an interrupted plan was cancelled before.
pub(super) fn is_cancelling(console: &Console, plan: &str) -> Result<bool, Error> {
    let found = console.state.plan(plan)?;
    Ok(found.is_some_and(|plan| plan.is_cancelling))
}

/// Texts of an action on dead letters.
struct Action {
    does: &'static str,
    before: &'static str,
    after: &'static str,
}

impl Action {
    /// A plan that depends only on the selection: dead letters that are gone when it is applied are skipped.
    fn prepare(&self, chosen: &ResolvedSelection) -> PlannedChange {
        let basis = match &chosen.selection {
            Selection::Through { last, reason: None } => format!("{} through {last}", self.does),
            Selection::Through { last, reason } => {
                format!("{} through {last} {reason:?}", self.does)
            }
            Selection::Ids(ids) => format!("{} {ids:?}", self.does),
        };
        let some = |text: &str| Some(text.to_owned());
        PlannedChange::new(basis).with_action(
            self.does,
            chosen.to.clone(),
            some(self.before),
            some(self.after),
        )
    }
}

fn step(action: ActionView, ended: Result<String, String>) -> Vec<StepView> {
    let done = ended.is_ok();
    let message = Some(ended.unwrap_or_else(|why| why));
    vec![StepView {
        done,
        message,
        ..StepView::of(action)
    }]
}
