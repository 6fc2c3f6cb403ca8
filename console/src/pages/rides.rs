//! Rides: what is stored for a day of a resort, or for a skier.

mod query;
mod resort_day;
mod skier_days;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use skilift_core::ride::{ResortDay, ResortId, Season};
use skilift_core::store::ArchivedFiles;

use self::query::{RidesQuery, Wanted};
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, meter, sentence, state};
use super::visitor::Visitor;
use crate::admin::status_of;
use crate::console::Console;
use crate::error::Error;
use crate::plan::archive;
use crate::stats;
use crate::view::figures::{counted, grouped, span};
use crate::view::stats::ResortRow;

pub(super) use self::resort_day::day;
pub(super) use self::skier_days::skier;

#[derive(Template)]
#[template(path = "rides.html")]
struct RidesPage {
    head: Head,
    fresh: String,
    form: RidesForm,
    resorts: Vec<Resort>,
    chosen: Option<Chosen>,
}

/// The forms, with what was asked for.
struct RidesForm {
    resort: String,
    season: String,
    day: String,
    skier: String,
    /// Why they were refused.
    problem: Option<String>,
    /// IDs and names of the resorts in the catalogue.
    resorts: Vec<(String, String)>,
}

/// A resort with rides.
struct Resort {
    id: u64,
    name: String,
    seasons: u64,
    latest: Option<String>,
}

/// The season of a resort whose days are listed.
struct Chosen {
    resort: ResortId,
    name: String,
    season: Option<Season>,
    seasons: Vec<OneOf>,
    days: Vec<DayCells>,
    /// The first and the last of them.
    span: Option<(u64, u64)>,
    /// Why its days cannot be archived, if so.
    no_archive: Option<String>,
    /// Why the catalogue does not list it.
    unlisted: Option<String>,
}

/// A season to choose.
struct OneOf {
    season: String,
    is_chosen: bool,
}

struct DayCells {
    day: u64,
    /// Where its rides are.
    place: Markup,
    skiers: String,
    rides: String,
    share: Markup,
}

/// `GET /rides`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<RidesQuery>,
) -> Result<Response, PageError> {
    let mut form = RidesForm::new(&console);
    let mut status = StatusCode::OK;
    let chosen = match Wanted::read(&console, &query) {
        Ok(Wanted::Skier(skier)) => {
            return Ok(Redirect::to(&format!("/rides/skiers/{skier}")).into_response());
        }
        Ok(Wanted::Day(ResortDay {
            resort,
            season,
            day,
        })) => {
            let url = format!("/rides/resorts/{resort}/seasons/{season}/days/{day}");
            return Ok(Redirect::to(&url).into_response());
        }
        Ok(Wanted::Days(resort, season)) => Some(Chosen::read(&console, resort, season).await?),
        Ok(Wanted::Resorts) => None,
        Err(error) => {
            status = status_of(error.code());
            form.refuse(query, &error);
            None
        }
    };
    if let Some(chosen) = &chosen {
        form.resort = chosen.resort.to_string();
        form.season = chosen.season.map_or_else(String::new, |of| of.to_string());
    }
    let resorts = stats::resorts(&console).await?.resorts;
    let page = RidesPage {
        head: Head::new(&console, &visitor, "/rides", "Rides"),
        fresh: freshness(&console, console.behind_ms()),
        form,
        resorts: resorts.into_iter().map(row).collect(),
        chosen,
    };
    Ok((status, render(&page)).into_response())
}

/// How far what is stored is behind what was accepted.
fn freshness(console: &Console, oldest_ride_age_ms: Option<u64>) -> String {
    let dead = console.dead_letters.counts().dead;
    match oldest_ride_age_ms {
        Some(0) if dead > 0 => format!(
            "Up to date, without {}",
            counted(dead, "dead letter", "dead letters")
        ),
        Some(0) => "Up to date: all accepted rides are included".to_owned(),
        Some(ms) => format!("{} behind: newer rides are not included yet", span(ms)),
        None => "Freshness unknown: rides may be missing, see Queue".to_owned(),
    }
}

/// Why the catalogue does not list a resort or its season.
fn unlisted(console: &Console, resort: ResortId, season: Option<Season>) -> Option<String> {
    let catalogue = &console.sources.catalogue;
    let checked = match season {
        Some(season) => catalogue.check_season(resort, season),
        None => catalogue.check_resort(resort),
    };
    let error = checked.err()?;
    Some(format!(
        "{} New rides for it are rejected.",
        sentence(&error.to_string())
    ))
}

impl RidesForm {
    /// Empty forms.
    fn new(console: &Console) -> Self {
        let catalogue = &console.sources.catalogue;
        let resorts = catalogue.resorts();
        Self {
            resort: String::new(),
            season: String::new(),
            day: String::new(),
            skier: String::new(),
            problem: None,
            resorts: resorts
                .map(|resort| (resort.to_string(), catalogue.name(resort)))
                .collect(),
        }
    }

    /// Keeps what was typed, and says why it was refused.
    fn refuse(&mut self, query: RidesQuery, error: &Error) {
        self.resort = query.resort.unwrap_or_default();
        self.season = query.season.unwrap_or_default();
        self.day = query.day.unwrap_or_default();
        self.skier = query.skier.unwrap_or_default();
        self.problem = Some(sentence(error.message()));
    }
}

impl Chosen {
    /// The days of a season; without one, of the latest.
    async fn read(
        console: &Console,
        resort: ResortId,
        season: Option<Season>,
    ) -> Result<Self, Error> {
        let mut seasons = stats::seasons(console, resort).await?.seasons;
        // The latest first.
        seasons.reverse();
        let latest = seasons
            .first()
            .and_then(|row| row.season.parse::<Season>().ok());
        let season = season.or(latest);
        let days = match season {
            Some(season) => stats::days(console, resort, season).await?.days,
            None => Vec::new(),
        };
        let name = season.map_or_else(String::new, |of| of.to_string());
        let archived = match season {
            Some(season) => archived_days(console, resort, season).await?,
            None => BTreeMap::new(),
        };
        let most = days.iter().map(|day| day.rides).max().unwrap_or(0).max(1);
        let all = days.iter().map(|day| day.rides).sum::<u64>().max(1);
        Ok(Self {
            resort,
            name: console.sources.catalogue.name(resort),
            season,
            seasons: seasons
                .into_iter()
                .map(|row| OneOf {
                    is_chosen: row.season == name,
                    season: row.season,
                })
                .collect(),
            span: days
                .first()
                .zip(days.last())
                .map(|(first, last)| (first.day, last.day)),
            no_archive: archive::unavailable(console).map(sentence),
            days: days
                .iter()
                .map(|day| DayCells {
                    day: day.day,
                    place: place(archived.get(&day.day).copied()),
                    skiers: grouped(day.skiers),
                    rides: grouped(day.rides),
                    share: share(day.rides, most, all),
                })
                .collect(),
            unlisted: unlisted(console, resort, season),
        })
    }
}

/// The archived days of a season, and whether their files can be read.
async fn archived_days(
    console: &Console,
    resort: ResortId,
    season: Season,
) -> Result<BTreeMap<u64, bool>, Error> {
    let of_season = |day: &ResortDay| (day.resort, day.season) == (resort, season);
    let archived = console.sources.reader.archived_days(&of_season).await?;
    let is_there = |files: &ArchivedFiles| (files.day.day.get().into(), files.fault.is_none());
    Ok(archived.iter().map(is_there).collect())
}

/// Where the rides of a day are: in files, which may be missing, or in Redis.
fn place(archived: Option<bool>) -> Markup {
    match archived {
        None => state("idle", "Redis", "ok"),
        Some(true) => state("ok", "files", "ok"),
        Some(false) => state("bad", "files missing", "bad"),
    }
}

/// A bar as long as the part of the most, and its share of all.
fn share(part: u64, most: u64, all: u64) -> Markup {
    let of = |whole: u64| part as f64 / whole.max(1) as f64;
    meter(of(most), of(all))
}

fn row(resort: ResortRow) -> Resort {
    Resort {
        id: resort.resort,
        name: resort.resort_name,
        seasons: resort.seasons,
        latest: resort.latest_season,
    }
}
