//! Dead letters: sent again, or thrown away.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::prepared::Prepared;
use super::work::{Progress, Work};
use crate::admin::ApiError;
use crate::console::Console;
use crate::letters::{Choice, Pace, discard, send_again};
use crate::view::change::{Change, LetterChoice};
use crate::view::plan::{ActionView, PlanState, StepView};

/// Letters a second when nothing is said.
const PER_S: f64 = 100.0;
/// The slowest and the fastest, in letters a second.
const PER_S_RANGE: (f64, f64) = (0.1, 10_000.0);
/// What is typed before letters are thrown away for ever.
const CONFIRM: &str = "discard";

/// Send letters again.
pub(super) fn replay(
    console: &Arc<Console>,
    letters: &LetterChoice,
    per_s: Option<f64>,
    plan: &str,
) -> Result<Prepared, ApiError> {
    let (slowest, fastest) = PER_S_RANGE;
    let per_s = per_s.unwrap_or(PER_S);
    if !(slowest..=fastest).contains(&per_s) {
        return Err(ApiError::invalid(format!(
            "per_s must be from {slowest} to {fastest}, not {per_s}"
        )));
    }
    let resumed = resumed(console, plan)?;
    let dead = console.letters.counts().dead;
    let Some(chosen) = choose(console, letters, dead, resumed.is_some())? else {
        return Ok(Prepared::already("replay nothing"));
    };
    let action = Action {
        does: "send again",
        before: "dead",
        after: "replayed",
    };
    let seconds = (chosen.count as f64 / per_s).ceil();
    let mut prepared = action
        .prepare(&chosen)
        .effect(format!(
            "at {per_s} letters a second it takes about {seconds} s; a line that cannot be applied dies again, under the same id"
        ));
    let pace = Pace {
        per_s,
        not_since_ms: resumed,
    };
    prepared.resolved = Some(Change::Replay {
        letters: chosen.letters,
        per_s: Some(per_s),
    });
    let (choice, console) = (chosen.choice, Arc::clone(console));
    let of = prepared.actions[0].clone();
    let (progress, told) = watch::channel("sent 0".to_owned());
    prepared.effect.work = Some(Work {
        doing: async move { step(of, send_again(console, choice, pace, progress).await) }.boxed(),
        progress: Progress::Words(told),
    });
    Ok(prepared)
}

/// Throw letters away.
pub(super) fn throw_away(
    console: &Arc<Console>,
    letters: &LetterChoice,
    plan: &str,
) -> Result<Prepared, ApiError> {
    let resumed = resumed(console, plan)?;
    let counts = console.letters.counts();
    let all = counts.dead + counts.replayed;
    let Some(chosen) = choose(console, letters, all, resumed.is_some())? else {
        return Ok(Prepared::already("discard nothing"));
    };
    let action = Action {
        does: "discard",
        before: "kept",
        after: "gone",
    };
    let mut prepared = action
        .prepare(&chosen)
        .effect("what is discarded is gone for ever, here and everywhere");
    if chosen.count > 1 {
        prepared = prepared.severe(CONFIRM);
    }
    prepared.resolved = Some(Change::Discard {
        letters: chosen.letters,
    });
    let (choice, console) = (chosen.choice, Arc::clone(console));
    let of = prepared.actions[0].clone();
    let (progress, told) = watch::channel("discarded 0".to_owned());
    prepared.effect.work = Some(Work {
        doing: async move { step(of, discard(console, choice, progress).await) }.boxed(),
        progress: Progress::Words(told),
    });
    Ok(prepared)
}

/// Letters that a plan is about.
struct Chosen {
    count: u64,
    /// As the plan keeps it: letters that come later are not among them.
    letters: LetterChoice,
    choice: Choice,
    /// In words.
    to: String,
}

/// Finds out which letters are meant; `None` when there are none.
fn choose(
    console: &Console,
    letters: &LetterChoice,
    all: u64,
    is_resumed: bool,
) -> Result<Option<Chosen>, ApiError> {
    let through = |last: u64| Chosen {
        count: all,
        letters: LetterChoice::Through(last),
        choice: Choice::Through(last),
        to: format!("all {all} there were, up to number {last}"),
    };
    match letters {
        LetterChoice::All if all == 0 => Ok(None),
        LetterChoice::All => Ok(Some(through(console.letters.counts().last))),
        LetterChoice::Through(last) if *last > console.letters.counts().last => {
            let newest = console.letters.counts().last;
            Err(ApiError::invalid(format!(
                "through must be the number of a dead letter; the newest is {newest}"
            )))
        }
        LetterChoice::Through(last) => Ok(Some(through(*last))),
        LetterChoice::Ids(ids) => {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            let [first, ..] = &ids[..] else {
                return Err(ApiError::invalid("name at least one dead letter"));
            };
            for id in &ids {
                // What a plan has thrown away before it was cut off is not missed.
                if !is_resumed && console.letters.show(id)?.is_none() {
                    let shown: String = id.chars().take(100).collect();
                    return Err(ApiError::not_found(format!(
                        "there is no dead letter {shown:?}; see `skictl queue dead list`"
                    )));
                }
            }
            let count = ids.len() as u64;
            Ok(Some(Chosen {
                count,
                to: match count {
                    1 => format!("dead letter {first}"),
                    _ => format!("{count} dead letters"),
                },
                letters: LetterChoice::Ids(ids.clone()),
                choice: Choice::Ids(ids),
            }))
        }
    }
}

/// When a plan that was cut off was made, in milliseconds since 1970; `None` for any other.
fn resumed(console: &Console, plan: &str) -> Result<Option<u64>, ApiError> {
    let found = console.state.plan(plan)?;
    let cut_off = found.filter(|plan| plan.state == PlanState::Applying);
    Ok(cut_off.map(|plan| plan.made_at_ms))
}

/// What is done to letters, in words.
struct Action {
    does: &'static str,
    before: &'static str,
    after: &'static str,
}

impl Action {
    /// A plan that stands on which letters are meant and on nothing else: those that are gone when it is applied are passed over.
    fn prepare(&self, chosen: &Chosen) -> Prepared {
        let basis = match &chosen.choice {
            Choice::Through(last) => format!("{} through {last}", self.does),
            Choice::Ids(ids) => format!("{} {ids:?}", self.does),
        };
        let said = |text: &str| Some(text.to_owned());
        Prepared::new(basis).act(
            self.does,
            chosen.to.clone(),
            said(self.before),
            said(self.after),
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
