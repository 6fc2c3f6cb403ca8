//! The query of the forms: what they ask for.

use std::str::FromStr;

use serde::Deserialize;
use skilift_core::ranged::RangeError;
use skilift_core::ride::{ResortDay, ResortId, Season, SkierId};

use crate::console::Console;
use crate::error::Error;
use crate::pages::change_form::labels::with_labels;

/// The query of the forms.
#[derive(Deserialize)]
pub(in crate::pages) struct RidesQuery {
    pub(super) resort: Option<String>,
    pub(super) season: Option<String>,
    pub(super) day: Option<String>,
    pub(super) skier: Option<String>,
}

/// A field that was filled in.
fn given(field: &Option<String>) -> Option<&str> {
    let text = field.as_deref()?.trim();
    (!text.is_empty()).then_some(text)
}

/// What the forms ask for.
pub(super) enum Wanted {
    Skier(SkierId),
    Day(ResortDay),
    /// The days of a season; without one, of the latest.
    Days(ResortId, Option<Season>),
    Resorts,
}

impl Wanted {
    /// Reads the fields.
    ///
    /// # Errors
    /// If a field is invalid, or another one is needed.
    pub(super) fn read(console: &Console, query: &RidesQuery) -> Result<Self, Error> {
        if let Some(skier) = given(&query.skier) {
            return Ok(Self::Skier(parse(skier)?));
        }
        let resort = given(&query.resort);
        let resort = resort.map(|text| named_resort(console, text)).transpose()?;
        let season = given(&query.season).map(parse).transpose()?;
        let day = given(&query.day).map(parse).transpose()?;
        match (resort, season, day) {
            (Some(resort), Some(season), Some(day)) => Ok(Self::Day(ResortDay {
                resort,
                season,
                day,
            })),
            (Some(_), None, Some(_)) => Err(Error::invalid(
                "the season is missing: enter the season of this day",
            )),
            (Some(resort), season, None) => Ok(Self::Days(resort, season)),
            (None, None, None) => Ok(Self::Resorts),
            (None, ..) => Err(Error::invalid(
                "the resort is missing: enter its ID or its name",
            )),
        }
    }
}

/// Parses a number. The error names the label of its field.
pub(super) fn parse<T: FromStr<Err = RangeError>>(text: &str) -> Result<T, Error> {
    let parsed = text.parse::<T>();
    parsed.map_err(|error| Error::invalid(with_labels("", &error.to_string())))
}

/// A resort by its ID or its exact name.
fn named_resort(console: &Console, text: &str) -> Result<ResortId, Error> {
    match text.parse::<ResortId>() {
        Ok(resort) => Ok(resort),
        Err(error) => {
            let found = console.sources.catalogue.by_name(text);
            let RangeError { min, max, got, .. } = error;
            found.ok_or_else(|| {
                Error::invalid(format!(
                    "Resort must be an ID from {min} to {max} or an exact name, not {got}"
                ))
            })
        }
    }
}
