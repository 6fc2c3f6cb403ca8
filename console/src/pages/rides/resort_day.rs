//! A day of a resort: figures, hours, lifts and leaders.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use skilift_core::ride::ResortDay;

use super::query::parse;
use super::{RidesForm, freshness, share, unlisted};
use crate::console::Console;
use crate::error::Error;
use crate::pages::error::{PageError, render};
use crate::pages::head::Head;
use crate::pages::html::{Figure, Markup, sentence};
use crate::pages::visitor::{Visitor, path};
use crate::stats;
use crate::view::figures::{grouped, moment};
use crate::view::stats::{HourRow, LiftRow, ResortStats, TopRow};

/// Number of leaders.
const LEADERS: usize = 10;
/// Metres from which a vertical is shown in kilometres.
const KM_FROM_M: u64 = 100_000;

#[derive(Template)]
#[template(path = "rides-day.html")]
struct DayPage {
    head: Head,
    fresh: String,
    form: RidesForm,
    resort: u64,
    name: String,
    season: String,
    day: u64,
    figures: Vec<Figure>,
    /// From the first to the last one with rides; empty if there are no rides.
    hours: Vec<HourCells>,
    lifts: Vec<LiftCells>,
    leaders: Vec<LeaderCells>,
    /// Why the leaders are unknown.
    leaders_error: Option<String>,
    unlisted: Option<String>,
    archived: Option<ArchivedCells>,
}

/// An archived day.
struct ArchivedCells {
    when: String,
    /// Why its files cannot be read, if so.
    fault: Option<String>,
}

struct HourCells {
    hour: String,
    rides: String,
    share: Markup,
}

struct LiftCells {
    lift: u64,
    name: Option<String>,
    rides: String,
    share: Markup,
    vertical: String,
}

struct LeaderCells {
    rank: u64,
    skier: u64,
    rides: String,
    vertical: String,
}

/// `GET /rides/resorts/{resort}/seasons/{season}/days/{day}`
pub(in crate::pages) async fn day(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let on = ResortDay {
        resort: parse(path(&parts, "resort"))?,
        season: parse(path(&parts, "season"))?,
        day: parse(path(&parts, "day"))?,
    };
    let (view, lifts, hours) = tokio::try_join!(
        stats::resort(&console, on),
        stats::lifts(&console, on),
        stats::hours(&console, on)
    )?;
    // Only few rankings are computed at once; without one, the rest is shown.
    let (leaders, leaders_error) = match stats::top(&console, on, LEADERS).await {
        Ok(top) => (top.skiers, None),
        Err(error) => (Vec::new(), Some(sentence(Error::from(error).message()))),
    };
    let is_it = |day: &ResortDay| *day == on;
    let mut archived = console.sources.reader.archived_days(&is_it).await?;
    let archived = archived.pop().map(|files| ArchivedCells {
        when: moment(files.archived.archived_at_ms),
        fault: files.fault.map(|fault| sentence(&fault)),
    });
    let mut form = RidesForm::new(&console);
    form.resort = view.resort.to_string();
    form.season.clone_from(&view.season);
    form.day = view.day.to_string();
    Ok(render(&DayPage {
        head: Head::new(&console, &visitor, "/rides", "Rides"),
        fresh: freshness(&console, view.oldest_ride_age_ms),
        form,
        figures: figures(&view),
        hours: hour_cells(&hours.hours),
        lifts: lift_cells(lifts.lifts),
        leaders: leaders.iter().map(leader_cells).collect(),
        leaders_error,
        unlisted: unlisted(&console, on.resort, Some(on.season)),
        archived,
        resort: view.resort,
        name: view.resort_name,
        season: view.season,
        day: view.day,
    }))
}

fn figures(view: &ResortStats) -> Vec<Figure> {
    let per_skier = |count: u64| count as f64 / view.skiers.max(1) as f64;
    let (vertical, unit) = if view.vertical_m >= KM_FROM_M {
        (view.vertical_m / 1_000, " km")
    } else {
        (view.vertical_m, " m")
    };
    let rides = format!("{:.1} per skier", per_skier(view.rides));
    let metres = grouped(per_skier(view.vertical_m).round() as u64);
    vec![
        Figure::known(
            "rd-skiers",
            "Skiers",
            grouped(view.skiers),
            "",
            "with at least one ride",
        ),
        Figure::known("rd-rides", "Rides", grouped(view.rides), "", rides),
        Figure::known(
            "rd-vertical",
            "Vertical",
            grouped(vertical),
            unit,
            format!("{metres} m per skier"),
        ),
        Figure::known(
            "rd-duplicates",
            "Duplicates",
            grouped(view.duplicates),
            "",
            "resent, counted once",
        ),
    ]
}

fn hour_cells(hours: &[HourRow]) -> Vec<HourCells> {
    let first = hours.iter().position(|hour| hour.rides > 0);
    let last = hours.iter().rposition(|hour| hour.rides > 0);
    let (Some(first), Some(last)) = (first, last) else {
        return Vec::new();
    };
    let most = hours.iter().map(|hour| hour.rides).max().unwrap_or(0);
    let all: u64 = hours.iter().map(|hour| hour.rides).sum();
    let cells = |hour: &HourRow| HourCells {
        hour: format!("{:02}:00", hour.hour),
        rides: grouped(hour.rides),
        share: share(hour.rides, most, all),
    };
    hours[first..=last].iter().map(cells).collect()
}

fn lift_cells(mut lifts: Vec<LiftRow>) -> Vec<LiftCells> {
    lifts.sort_by_key(|lift| (std::cmp::Reverse(lift.rides), lift.lift));
    let most = lifts.first().map_or(0, |lift| lift.rides);
    let all: u64 = lifts.iter().map(|lift| lift.rides).sum();
    let cells = |lift: LiftRow| LiftCells {
        lift: lift.lift,
        rides: grouped(lift.rides),
        share: share(lift.rides, most, all),
        vertical: grouped(lift.vertical_m),
        name: lift.name,
    };
    lifts.into_iter().map(cells).collect()
}

fn leader_cells(row: &TopRow) -> LeaderCells {
    LeaderCells {
        rank: row.rank,
        skier: row.skier,
        rides: grouped(row.rides),
        vertical: grouped(row.vertical_m),
    }
}
