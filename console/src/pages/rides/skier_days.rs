//! The days of a skier.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use skilift_core::ride::SkierId;

use super::query::parse;
use super::{RidesForm, freshness};
use crate::console::Console;
use crate::pages::error::{PageError, render};
use crate::pages::head::Head;
use crate::pages::visitor::{Visitor, path};
use crate::stats;
use crate::view::figures::grouped;
use crate::view::stats::SkierDay;

/// Maximum days that are shown.
const MAX_ROWS: usize = 500;

#[derive(Template)]
#[template(path = "rides-skier.html")]
struct SkierPage {
    head: Head,
    fresh: String,
    form: RidesForm,
    skier: u64,
    /// How many days there are, and how many of them are shown.
    shown: String,
    days: Vec<DayCells>,
    rides: String,
    vertical: String,
}

struct DayCells {
    resort: u64,
    name: String,
    season: String,
    day: u64,
    rides: String,
    vertical: String,
}

/// `GET /rides/skiers/{skier}`
pub(in crate::pages) async fn skier(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let skier: SkierId = parse(path(&parts, "skier"))?;
    let view = stats::skier(&console, skier).await?;
    let mut form = RidesForm::new(&console);
    form.skier = view.skier.to_string();
    let all = view.days.len();
    let days = view.days.iter().take(MAX_ROWS);
    Ok(render(&SkierPage {
        head: Head::new(&console, &visitor, "/rides", "Rides"),
        fresh: freshness(&console, view.oldest_ride_age_ms),
        form,
        skier: view.skier,
        shown: match all {
            1 => "1 day".to_owned(),
            all if all > MAX_ROWS => {
                format!("the newest {MAX_ROWS} of {} days", grouped(all as u64))
            }
            all => format!("{} days, newest first", grouped(all as u64)),
        },
        days: days.map(day_cells).collect(),
        rides: grouped(view.rides),
        vertical: grouped(view.vertical_m),
    }))
}

fn day_cells(day: &SkierDay) -> DayCells {
    DayCells {
        resort: day.resort,
        name: day.resort_name.clone(),
        season: day.season.clone(),
        day: day.day,
        rides: grouped(day.rides),
        vertical: grouped(day.vertical_m),
    }
}
