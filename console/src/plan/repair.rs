//! Rebuilds a day's counters and indexes from its ledger.

use std::sync::Arc;

use futures_util::FutureExt;
use skilift_core::lifecycle::chain;
use skilift_core::ride::{Day, ResortDay, ResortId, Season};
use skilift_core::store::counters::DayCounters;
use tokio::sync::watch;

use super::job_runner::{Job, Progress};
use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::error::Error;
use crate::view::figures::counted;
use crate::view::plan::StepView;

/// Repairs a day. The operation is idempotent, so the plan depends on no earlier state.
pub(super) fn repair(
    console: &Arc<Console>,
    resort: u64,
    season: &str,
    day: u64,
) -> Result<PlannedChange, Error> {
    let on = ResortDay {
        resort: ResortId::new(resort)?,
        season: season.parse::<Season>()?,
        day: Day::new(day)?,
    };
    let to = format!("resort {resort}, season {season}, day {day}");
    let mut prepared = PlannedChange::new(format!("repair {on}"))
        .with_action(
            "rebuild counters and indexes",
            &to,
            Some("current values".to_owned()),
            Some("values from the ledger".to_owned()),
        )
        .with_effect("the ledger is only read; rides of that day can still arrive");
    let (console, of) = (Arc::clone(console), prepared.actions[0].clone());
    // One call to the store: there is no intermediate progress.
    let (_, progress) = watch::channel("reading the ledger".to_owned());
    let doing = async move {
        let step = match console.sources.reader.repair_day(on).await {
            Ok(repaired) => StepView {
                done: true,
                message: Some(format!(
                    "{} indexed; {}",
                    counted(repaired.skiers, "skier", "skiers"),
                    difference(&repaired.before, &repaired.after)
                )),
                ..StepView::of(of)
            },
            Err(error) => StepView {
                message: Some(chain(&error)),
                ..StepView::of(of)
            },
        };
        vec![step]
    };
    prepared.mutation.job = Some(Job {
        cancel: None,
        doing: doing.boxed(),
        progress: Progress::Words(progress),
    });
    Ok(prepared)
}

fn difference(before: &DayCounters, after: &DayCounters) -> String {
    if before == after {
        format!("counters were correct: {} rides", after.rides)
    } else {
        format!("rides corrected from {} to {}", before.rides, after.rides)
    }
}
