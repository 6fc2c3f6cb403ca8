//! Rides: what is stored for a day of a resort, or for a skier.

mod resort_day;
mod skier_days;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skilift_core::ride::{Day, ResortId, Season, SkierId};

use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, meter, sentence};
use super::visitor::Visitor;
use crate::console::Console;
use crate::error::Error;
use crate::stats;
use crate::view::figures::{grouped, span};
use crate::view::stats::{DayRow, ResortRow};

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
    skiers: String,
    rides: String,
    share: Markup,
}

/// The query of the forms.
#[derive(Deserialize)]
pub(super) struct RidesQuery {
    resort: Option<String>,
    season: Option<String>,
    day: Option<String>,
    skier: Option<String>,
}

/// A field that was filled in.
fn given(field: &Option<String>) -> Option<&str> {
    let text = field.as_deref()?.trim();
    (!text.is_empty()).then_some(text)
}

/// `GET /rides`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<RidesQuery>,
) -> Result<Response, PageError> {
    if let Some(skier) = given(&query.skier) {
        let skier: SkierId = skier.parse()?;
        return Ok(Redirect::to(&format!("/rides/skiers/{skier}")).into_response());
    }
    let resort = given(&query.resort);
    let resort = resort
        .map(|text| named_resort(&console, text))
        .transpose()?;
    let season = given(&query.season).map(str::parse::<Season>).transpose()?;
    let day = given(&query.day).map(str::parse::<Day>).transpose()?;
    if let (Some(resort), Some(season), Some(day)) = (resort, season, day) {
        let url = format!("/rides/resorts/{resort}/seasons/{season}/days/{day}");
        return Ok(Redirect::to(&url).into_response());
    }
    if resort.is_none() && (season.is_some() || day.is_some()) {
        return Err(Error::invalid("the resort is missing: enter its ID or its name").into());
    }
    let mut form = RidesForm::new(&console);
    let chosen = match resort {
        Some(resort) => Some(Chosen::read(&console, resort, season).await?),
        None => None,
    };
    if let Some(chosen) = &chosen {
        form.resort = chosen.resort.to_string();
        form.season = chosen.season.map_or_else(String::new, |of| of.to_string());
    }
    let resorts = stats::resorts(&console).await?.resorts;
    Ok(render(&RidesPage {
        head: Head::new(&console, &visitor, "/rides", "Rides"),
        fresh: freshness(console.behind_ms()),
        form,
        resorts: resorts.into_iter().map(row).collect(),
        chosen,
    }))
}

/// A resort by its ID or its exact name.
fn named_resort(console: &Console, text: &str) -> Result<ResortId, Error> {
    match text.parse::<ResortId>() {
        Ok(resort) => Ok(resort),
        Err(error) => {
            let found = console.sources.catalogue.by_name(text);
            found.ok_or_else(|| error.into())
        }
    }
}

/// How far what is stored is behind what was accepted.
fn freshness(oldest_ride_age_ms: Option<u64>) -> String {
    match oldest_ride_age_ms {
        Some(0) => "Up to date: all accepted rides are included".to_owned(),
        Some(ms) => format!("{} behind: newer rides are not included yet", span(ms)),
        None => "Freshness unknown: the age of the oldest ride cannot be read".to_owned(),
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
            resorts: resorts
                .map(|resort| (resort.to_string(), catalogue.name(resort)))
                .collect(),
        }
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
            days: days.iter().map(|day| day_cells(day, most, all)).collect(),
            unlisted: unlisted(console, resort, season),
        })
    }
}

fn day_cells(day: &DayRow, most: u64, all: u64) -> DayCells {
    DayCells {
        day: day.day,
        skiers: grouped(day.skiers),
        rides: grouped(day.rides),
        share: share(day.rides, most, all),
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
