//! The resorts and their seasons.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use skilift_core::ranged::RangeError;
use skilift_core::ride::{Day, ResortId, Season};
use utoipa::ToSchema;

use crate::error::{ApiError, Problem};
use crate::extract::{ApiJson, ApiPath, JsonBody};
use crate::ingest::Caller;
use crate::openapi::number;
use crate::state::Api;

/// The resorts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resorts {
    /// By ID.
    resorts: Vec<Resort>,
}

/// One resort.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resort {
    #[serde(rename = "resortName")]
    #[schema(example = "Zermatt")]
    name: String,
    #[serde(rename = "resortID")]
    #[schema(value_type = number::ResortId)]
    id: ResortId,
}

/// All resorts
///
/// Includes the resorts of the catalogue, and those with seasons or rides.
#[utoipa::path(
    get,
    path = "/resorts",
    operation_id = "getResorts",
    tag = "Resorts",
    responses((status = 200, description = "The resorts, by ID", body = Resorts)),
)]
pub(crate) async fn list(State(api): State<Api>) -> Result<ApiJson<Resorts>, ApiError> {
    let stored = api.reader.resorts().await?;
    let ids: BTreeSet<ResortId> = stored.into_iter().chain(api.catalogue.resorts()).collect();
    let describe = |id| Resort {
        name: api.catalogue.name(id),
        id,
    };
    Ok(ApiJson(Resorts {
        resorts: ids.into_iter().map(describe).collect(),
    }))
}

/// The seasons of a resort.
#[derive(Serialize, ToSchema)]
pub(crate) struct Seasons {
    /// In order.
    #[schema(value_type = Vec<number::SeasonText>)]
    seasons: Vec<Season>,
}

/// The seasons of a resort
///
/// Includes the open seasons of the catalogue, the added seasons, and those with rides.
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons",
    operation_id = "getSeasons",
    tag = "Resorts",
    responses(
        (status = 200, description = "The seasons, in order", body = Seasons),
        (status = 404, description = "The resort is unknown", body = Problem),
    ),
)]
pub(crate) async fn seasons(
    State(api): State<Api>,
    ApiPath(resort): ApiPath<ResortId>,
) -> Result<ApiJson<Seasons>, ApiError> {
    let stored = api.reader.seasons(resort).await?;
    let seasons: BTreeSet<Season> = stored
        .into_iter()
        .chain(api.catalogue.seasons(resort))
        .collect();
    let is_listed = || api.catalogue.is_listed() && api.catalogue.check_resort(resort).is_ok();
    if seasons.is_empty() && !is_listed() {
        return Err(api.nothing_stored(format!("{} has no seasons", api.catalogue.name(resort))));
    }
    Ok(ApiJson(Seasons {
        seasons: seasons.into_iter().collect(),
    }))
}

/// The days of a resort's season.
#[derive(Serialize, ToSchema)]
pub(crate) struct Days {
    /// In order.
    #[schema(value_type = Vec<number::Day>)]
    days: Vec<Day>,
}

/// The days of a resort's season
///
/// Those with rides.
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons/{seasonID}/days",
    operation_id = "getDays",
    tag = "Resorts",
    responses(
        (status = 200, description = "The days, in order", body = Days),
        (status = 404, description = "The season has no rides", body = Problem),
    ),
)]
pub(crate) async fn days(
    State(api): State<Api>,
    ApiPath((resort, season)): ApiPath<(ResortId, Season)>,
) -> Result<ApiJson<Days>, ApiError> {
    let days = api.reader.days(resort, season).await?;
    if days.is_empty() {
        return Err(api.nothing_stored(format!(
            "{} has no rides in season {season}",
            api.catalogue.name(resort)
        )));
    }
    Ok(ApiJson(Days { days }))
}

/// A season to add.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewSeason {
    #[serde(deserialize_with = "read_year")]
    #[schema(value_type = number::SeasonInput)]
    year: Season,
}

impl JsonBody for NewSeason {
    const IS: &'static str = "a season";
}

/// Adds a season to a resort
///
/// Adding a season again changes nothing. Seasons with rides need not be added.
#[utoipa::path(
    post,
    path = "/resorts/{resortID}/seasons",
    operation_id = "addSeason",
    tag = "Resorts",
    request_body = NewSeason,
    responses((status = 201, description = "The resort has this season")),
)]
pub(crate) async fn add_season(
    State(api): State<Api>,
    caller: Caller,
    ApiPath(resort): ApiPath<ResortId>,
    ApiJson(new): ApiJson<NewSeason>,
) -> Result<StatusCode, ApiError> {
    api.authorizer.check(caller, resort)?;
    api.catalogue.check_season(resort, new.year)?;
    api.reader.add_season(resort, new.year).await?;
    Ok(StatusCode::CREATED)
}

/// Parses a season in either form; errors use the field name `year`.
fn read_year<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Season, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let (field, min, max) = ("year", Season::MIN.into(), Season::MAX.into());
    let read = match &value {
        Value::String(text) => text.parse(),
        Value::Number(number) => match number.as_u64() {
            Some(year) => Season::new(year),
            None => Err(RangeError::of_number(field, min, max, number)),
        },
        other => Err(RangeError::new(field, min, max, &other.to_string())),
    };
    read.map_err(|error| serde::de::Error::custom(RangeError { field, ..error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_a_string_or_an_integer_and_is_called_year() {
        let read = |json: &str| serde_json::from_str::<NewSeason>(json).map(|new| new.year.get());
        assert_eq!(read(r#"{"year":"2026"}"#).unwrap(), 2026);
        assert_eq!(read(r#"{"year":2026}"#).unwrap(), 2026);
        for bad in [
            "\"1899\"", "3000", "-1", "2026.0", "\"x\"", "true", "null", "[]", "{}",
        ] {
            let error = read(&format!("{{\"year\":{bad}}}"))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("year must be a whole number from 1900 to 2999, not "),
                "{bad}: {error}"
            );
        }
    }
}
