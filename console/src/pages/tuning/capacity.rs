//! How many nodes another load needs.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::words::{self, UNKNOWN, whole};
use crate::console::Console;
use crate::error::Error;
use crate::pages::error::{PageError, render};
use crate::pages::head::Head;
use crate::pages::visitor::Visitor;
use crate::tuning::capacity::{Load, capacity};
use crate::view::capacity::{CapacityOption, CapacityView};
use crate::view::figures::percent;

#[derive(Template)]
#[template(path = "capacity.html")]
struct CapacityPage {
    head: Head,
    problem: Option<String>,
    rate: String,
    peak: String,
    p99_ms: String,
    sweep: String,
    found: Option<Found>,
}

/// The fields of the form.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(in crate::pages) struct Fields {
    rate: String,
    peak: String,
    p99_ms: String,
    sweep: String,
}

/// What was found.
struct Found {
    need: String,
    sweep: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

struct Row {
    name: String,
    batch: String,
    api: String,
    capacity: String,
    margin: String,
    less: String,
    usd_per_h: String,
    usd_per_million: String,
    basis: &'static str,
}

/// `GET /capacity`
pub(in crate::pages) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(fields): Query<Fields>,
) -> Result<Response, PageError> {
    let head = Head::new(&console, &visitor, "/tuning", "Capacity");
    let is_asked = !fields.rate.trim().is_empty();
    let found = match load(&fields) {
        Ok(load) if is_asked => {
            let sweep = fields.sweep.trim().to_owned();
            let computing = move || {
                let sweep = (!sweep.is_empty()).then_some(sweep.as_str());
                capacity(&console, sweep, load)
            };
            let computed = tokio::task::spawn_blocking(computing).await;
            computed.map_err(Error::internal)?.map(Some)
        }
        Err(error) if is_asked => Err(error),
        _ => Ok(None),
    };
    let (problem, found) = match found {
        Ok(found) => (None, found.as_ref().map(Found::of)),
        Err(error) => (Some(error.message().to_owned()), None),
    };
    let status = match &problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = render(&CapacityPage {
        head,
        problem,
        rate: fields.rate,
        peak: fields.peak,
        p99_ms: fields.p99_ms,
        sweep: fields.sweep,
        found,
    });
    Ok((status, page).into_response())
}

fn load(fields: &Fields) -> Result<Load, Error> {
    let number = |name: &str, text: &str| match text.trim() {
        "" => Ok(None),
        text => {
            let number = text.replace(',', "").parse();
            number
                .map(Some)
                .map_err(|_| Error::invalid(format!("{name} must be a number, not {text:?}")))
        }
    };
    Ok(Load {
        rate_per_s: number("Rides per second", &fields.rate)?.unwrap_or(0.0),
        peak: number("Peak", &fields.peak)?.unwrap_or(1.0),
        p99_ms: number("p99", &fields.p99_ms)?,
    })
}

impl Found {
    fn of(view: &CapacityView) -> Self {
        Self {
            need: format!(
                "{} rides/s at the peak, p99 within {} ms",
                whole(view.peak_per_s),
                words::ms(view.p99_ms)
            ),
            sweep: view.sweep.clone(),
            rows: view.options.iter().map(Row::of).collect(),
            notes: view.notes.clone(),
        }
    }
}

impl Row {
    fn of(of: &CapacityOption) -> Self {
        Self {
            name: format!("{} × {}", of.workers, of.threads),
            batch: whole(of.batch.into()),
            api: of
                .api
                .map_or_else(|| UNKNOWN.to_owned(), |api| api.to_string()),
            capacity: whole(of.capacity_per_s),
            margin: percent(of.margin),
            less: less(of),
            usd_per_h: words::usd(of.usd_per_h),
            usd_per_million: words::usd(of.usd_per_million),
            basis: if of.is_measured {
                "measured"
            } else {
                "estimated"
            },
        }
    }
}

/// What is left with one worker less, in words.
fn less(of: &CapacityOption) -> String {
    if of.workers == 1 {
        return "no worker is left: nothing is stored".to_owned();
    }
    let of = &of.with_one_worker_less;
    let capacity = whole(of.capacity_per_s);
    match (of.is_enough, of.keeps_up) {
        (true, _) => format!("enough: {capacity} rides/s"),
        (false, true) => "stores the peak, but later".to_owned(),
        (false, false) => format!(
            "the backlog grows at the peak: {} rides/s at most",
            whole(of.saturation_per_s)
        ),
    }
}
