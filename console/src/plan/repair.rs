//! A day's counters and indexes, written anew from its ledger.

use std::sync::Arc;

use futures_util::FutureExt;
use skilift_core::lifecycle::chain;
use skilift_core::ride::{Day, ResortDay, ResortId, Season};
use skilift_core::store::counters::DayCounters;
use tokio::sync::watch;

use super::prepared::Prepared;
use super::work::{Progress, Work};
use crate::admin::ApiError;
use crate::console::Console;
use crate::view::plan::StepView;

/// Repair a day. Doing it again changes nothing, so that there is no before to stand on.
pub(super) fn repair(
    console: &Arc<Console>,
    resort: u64,
    season: &str,
    day: u64,
) -> Result<Prepared, ApiError> {
    let on = ResortDay {
        resort: ResortId::new(resort)?,
        season: season.parse::<Season>()?,
        day: Day::new(day)?,
    };
    let to = format!("resort {resort}, season {season}, day {day}");
    let mut prepared = Prepared::new(format!("repair {on}"))
        .act(
            "write counters and indexes anew",
            &to,
            Some("as they are".to_owned()),
            Some("what the ledger says".to_owned()),
        )
        .effect("the ledger itself is read and not changed; rides of the day may go on coming");
    let (console, of) = (Arc::clone(console), prepared.actions[0].clone());
    // One answer of the store: there is nothing to tell in between.
    let (_, progress) = watch::channel("reading the ledger".to_owned());
    let doing = async move {
        let step = match console.sources.reader.repair_day(on).await {
            Ok(repaired) => StepView {
                done: true,
                message: Some(format!(
                    "{} skiers are indexed; {}",
                    repaired.skiers,
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
    prepared.effect.work = Some(Work {
        doing: doing.boxed(),
        progress: Progress::Words(progress),
    });
    Ok(prepared)
}

fn difference(before: &DayCounters, after: &DayCounters) -> String {
    if before == after {
        format!("the counters were right: {} rides", after.rides)
    } else {
        format!("rides were {}, are {}", before.rides, after.rides)
    }
}
