//! Moves days of a season to the archive and back, one after the other.

use std::ops::RangeInclusive;
use std::sync::Arc;

use futures_util::FutureExt;
use skilift_core::lifecycle::chain;
use skilift_core::ride::{Day, ResortDay, ResortId, Season};
use skilift_core::store::StoreError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::dead_letters::is_cancelling;
use super::job_runner::{Job, Progress};
use super::planned_change::PlannedChange;
use super::scale::Preflight;
use crate::config::EngineKind;
use crate::console::Console;
use crate::error::Error;
use crate::view::change::{Change, SeasonDays};
use crate::view::figures::{bytes, counted, grouped};
use crate::view::plan::{ActionView, RefusalView, StepCode, StepView};

/// Most bytes of Redis' memory that a stored ride needs, its indexes included.
const BYTES_PER_RIDE: u64 = 24;

/// Where the days go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToFiles,
    ToRedis,
}

/// Days of a resort's season.
struct Days {
    resort: ResortId,
    season: Season,
    range: RangeInclusive<Day>,
}

impl Days {
    fn read(of: &SeasonDays) -> Result<Self, Error> {
        let (first, last) = (Day::new(of.first_day)?, Day::new(of.last_day)?);
        if first > last {
            return Err(Error::invalid(format!(
                "the first day must not be after the last, but {first} is after {last}"
            )));
        }
        Ok(Self {
            resort: ResortId::new(of.resort)?,
            season: of.season.parse()?,
            range: first..=last,
        })
    }

    fn contain(&self, on: &ResortDay) -> bool {
        on.resort == self.resort && on.season == self.season && self.range.contains(&on.day)
    }

    /// Those that are to be moved: of the archive, those that are archived.
    async fn find(
        &self,
        console: &Console,
        direction: Direction,
    ) -> Result<Vec<ResortDay>, StoreError> {
        let reader = &console.sources.reader;
        Ok(match direction {
            Direction::ToFiles => {
                let days = reader.days(self.resort, self.season).await?;
                let on = |day| ResortDay {
                    resort: self.resort,
                    season: self.season,
                    day,
                };
                let days = days.into_iter().map(on);
                days.filter(|on| self.contain(on)).collect()
            }
            Direction::ToRedis => {
                let archived = reader.archived_days(&|on| self.contain(on)).await?;
                archived.into_iter().map(|files| files.day).collect()
            }
        })
    }
}

impl std::fmt::Display for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (resort, season) = (self.resort, self.season);
        let (first, last) = (self.range.start(), self.range.end());
        write!(f, "resort {resort}, season {season}, ")?;
        if first == last {
            write!(f, "day {first}")
        } else {
            write!(f, "days {first} to {last}")
        }
    }
}

/// Why no day can be moved, if so.
pub(crate) fn unavailable(console: &Console) -> Option<&'static str> {
    if console.config.engine == EngineKind::DataFolder {
        return Some(
            "the rides are in a data directory, which is on disk: only rides in Redis are archived",
        );
    }
    console.config.archive.is_none().then_some(
        "this console does not know where the archive is: start it, and the API nodes, with --archive DIR",
    )
}

/// Moves days. Both directions can be repeated, so the plan depends on no earlier state.
pub(super) fn prepare(
    console: &Arc<Console>,
    of: &SeasonDays,
    direction: Direction,
    plan: &str,
) -> Result<PlannedChange, Error> {
    let days = Days::read(of)?;
    if let Some(why) = unavailable(console) {
        return Err(Error::refused(why));
    }
    let (does, before, after) = match direction {
        Direction::ToFiles => ("archive", "in Redis", "in files"),
        Direction::ToRedis => ("restore", "in files", "in Redis"),
    };
    let prepared = PlannedChange::new(format!("{does} {days}"));
    let mut prepared = prepared.with_action(
        does,
        days.to_string(),
        Some(before.to_owned()),
        Some(after.to_owned()),
    );
    if direction == Direction::ToFiles {
        prepared = prepared.with_effect("a ride of these days that arrives later becomes a dead letter, which can be replayed after the day is restored");
    }
    let (progress, receiver) = watch::channel(String::new());
    let cancel = CancellationToken::new();
    if is_cancelling(console, plan)? {
        cancel.cancel();
    }
    let (console, action) = (Arc::clone(console), prepared.actions[0].clone());
    let until = cancel.clone();
    prepared.mutation.job = Some(Job {
        doing: async move {
            let ended = move_all(&console, &days, direction, &progress, &until).await;
            vec![step(action, ended, until.is_cancelled())]
        }
        .boxed(),
        progress: Progress::Words(receiver),
        cancel: Some(cancel),
    });
    Ok(prepared)
}

fn step(action: ActionView, ended: Result<String, String>, is_cancelled: bool) -> StepView {
    let done = ended.is_ok();
    StepView {
        done,
        code: (!done && is_cancelled).then_some(StepCode::Cancelled),
        message: Some(ended.unwrap_or_else(|why| why)),
        ..StepView::of(action)
    }
}

/// Moves one day after the other; returns what was done, or why not all of it.
async fn move_all(
    console: &Console,
    days: &Days,
    direction: Direction,
    progress: &watch::Sender<String>,
    until: &CancellationToken,
) -> Result<String, String> {
    let found = days.find(console, direction).await;
    let found = found.map_err(|error| chain(&error))?;
    let (mut rides, mut size) = (0, 0);
    for (moved, day) in found.iter().enumerate() {
        let so_far = || {
            let days = counted(moved as u64, "day was", "days were");
            format!("{days} moved; plan it again to go on")
        };
        if until.is_cancelled() {
            return Err(format!("cancelled: {}", so_far()));
        }
        let is_next = format!("day {}: {moved} of {} moved", day.day, found.len());
        progress.send_replace(format!("{is_next}, {} rides", grouped(rides)));
        let reader = &console.sources.reader;
        let archived = match direction {
            Direction::ToFiles => reader.archive_day(*day).await,
            Direction::ToRedis => reader.restore_day(*day).await,
        };
        let archived = archived.map_err(|error| format!("{}: {}", chain(&error), so_far()))?;
        rides += archived.rides;
        size += archived.bytes;
    }
    let moved = counted(found.len() as u64, "day", "days");
    let rides = counted(rides, "ride", "rides");
    let place = match direction {
        Direction::ToFiles => "in files",
        Direction::ToRedis => "in Redis",
    };
    Ok(format!(
        "{moved} {place}: {rides}, {} of files",
        bytes(size)
    ))
}

/// A day is repaired in Redis.
async fn preflight_of_repair(
    console: &Console,
    resort: u64,
    season: &str,
    day: u64,
) -> Result<Preflight, Error> {
    let days = Days::read(&SeasonDays {
        resort,
        season: season.to_owned(),
        first_day: day,
        last_day: day,
    })?;
    let mut asked = Preflight::default();
    if !days.find(console, Direction::ToRedis).await?.is_empty() {
        asked.refusals.push(RefusalView {
            reason: format!("{days} is archived: restore it before it is repaired"),
            can_override: false,
            code: None,
        });
    }
    Ok(asked)
}

/// What a plan says of the days in the store; other changes have nothing to say.
pub(super) async fn preflight(console: &Console, change: &Change) -> Result<Preflight, Error> {
    let (of, direction) = match change {
        Change::Archive(of) => (of, Direction::ToFiles),
        Change::Restore(of) => (of, Direction::ToRedis),
        Change::Repair {
            resort,
            season,
            day,
        } => return preflight_of_repair(console, *resort, season, *day).await,
        _ => return Ok(Preflight::default()),
    };
    let days = Days::read(of)?;
    let found = days.find(console, direction).await?;
    let mut asked = Preflight::default();
    if found.is_empty() {
        let state = match direction {
            Direction::ToFiles => "no rides are stored",
            Direction::ToRedis => "nothing is archived",
        };
        asked.refusals.push(RefusalView {
            reason: format!("{state} for {days}"),
            can_override: false,
            code: None,
        });
        return Ok(asked);
    }
    let (mut moved, mut rides, mut checked) = (0, 0, 0);
    let archived = match direction {
        Direction::ToFiles => days.find(console, Direction::ToRedis).await?,
        Direction::ToRedis => Vec::new(),
    };
    for day in &found {
        if archived.binary_search(day).is_ok() {
            checked += 1;
            continue;
        }
        moved += 1;
        let counters = console.sources.reader.counters(*day).await?;
        rides += u64::from(counters.rides);
    }
    if moved > 0 {
        let (moved, rides) = (
            counted(moved, "day", "days"),
            counted(rides, "ride", "rides"),
        );
        asked.effects.push(format!("moves {moved} with {rides}"));
    }
    if checked > 0 {
        let checked = counted(checked, "day that is", "days that are");
        let effect = format!("checks {checked} archived already against the files");
        asked.effects.push(effect);
    }
    if direction == Direction::ToRedis {
        let memory = bytes(rides * BYTES_PER_RIDE);
        asked
            .effects
            .push(format!("needs up to {memory} of Redis' memory"));
    }
    Ok(asked)
}
