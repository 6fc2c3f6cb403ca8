//! A skier over many days: read from the index of his days, then from the ledgers of those that are asked for.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use skilift_core::packed::Boarding;
use skilift_core::ride::{Day, ResortDay, ResortId, Season, SkierId};
use utoipa::ToSchema;

use crate::error::{ApiError, Problem};
use crate::extract::{ApiJson, ApiPath};
use crate::openapi::number;
use crate::query::ApiQuery;
use crate::state::Api;

/// Days that are read from Redis at once. No real skier has more; one who does takes several readings.
const DAYS_AT_ONCE: usize = 1000;

/// A skier's vertical, season by season.
#[derive(Serialize, ToSchema)]
pub(crate) struct SkierVertical {
    /// Seasons with rides, in order.
    resorts: Vec<SeasonVertical>,
}

/// The vertical of one season, over all resorts that were asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeasonVertical {
    #[serde(rename = "seasonID")]
    #[schema(value_type = number::SeasonText)]
    season: Season,
    /// Metres.
    #[serde(rename = "totalVert")]
    #[schema(example = 1200)]
    total_vert_m: u64,
}

/// A skier's vertical by season
///
/// Summed over the resorts that are asked for. Seasons without rides there are left out.
#[utoipa::path(
    get,
    path = "/skiers/{skierID}/vertical",
    operation_id = "getSkierVertical",
    tag = "Skiers",
    params(
        ("resort" = Vec<number::ResortIdOrName>, Query, min_items = 1, max_items = 100,
            description = "The resorts, each by its id or its exact name"),
        ("season" = Option<Vec<number::Season>>, Query, max_items = 100,
            description = "The seasons; left out: all"),
    ),
    responses(
        (status = 200, description = "One row a season", body = SkierVertical),
        (status = 404, description = "No such resort, or no rides there", body = Problem),
    ),
)]
pub(crate) async fn vertical(
    State(api): State<Api>,
    ApiPath(skier): ApiPath<SkierId>,
    query: ApiQuery,
) -> Result<ApiJson<SkierVertical>, ApiError> {
    let resorts = query.resorts(&api.catalogue)?;
    let seasons = query.seasons()?;
    if resorts.is_empty() {
        let message = "say for which resorts: ?resort=7, by id or by exact name, once or more";
        return Err(ApiError::BadRequest(message.to_owned()));
    }
    let wanted = |on: &ResortDay| {
        resorts.contains(&on.resort) && (seasons.is_empty() || seasons.contains(&on.season))
    };
    let mut by_season = BTreeMap::<Season, u64>::new();
    for (on, rides) in days_with_rides(&api, skier, wanted).await? {
        *by_season.entry(on.season).or_default() += api.vertical_m(on.resort, &rides);
    }
    if by_season.is_empty() {
        return Err(ApiError::NotFound(format!(
            "skier {skier} has no rides at these resorts in these seasons"
        )));
    }
    let row = |(season, total_vert_m)| SeasonVertical {
        season,
        total_vert_m,
    };
    Ok(ApiJson(SkierVertical {
        resorts: by_season.into_iter().map(row).collect(),
    }))
}

/// The days of a skier's season.
#[derive(Serialize, ToSchema)]
pub(crate) struct SkierSeason {
    /// How many days there are.
    #[serde(rename = "daysSkied")]
    days_skied: usize,
    /// By day, then by resort.
    days: Vec<SkierDay>,
}

/// What a skier did on one day at one resort.
#[derive(Serialize, ToSchema)]
pub(crate) struct SkierDay {
    #[serde(rename = "resortID")]
    #[schema(value_type = number::ResortId)]
    resort: ResortId,
    #[serde(rename = "dayID")]
    #[schema(value_type = number::Day)]
    day: Day,
    /// Metres.
    vertical: u64,
    /// How many rides.
    rides: usize,
}

/// A skier's days of a season
#[utoipa::path(
    get,
    path = "/skiers/{skierID}/seasons/{seasonID}/days",
    operation_id = "getSkierDays",
    tag = "Skiers",
    params(
        ("resort" = Option<Vec<number::ResortIdOrName>>, Query, max_items = 100,
            description = "Only days at these resorts, each by its id or its exact name"),
    ),
    responses(
        (status = 200, description = "The days, in order", body = SkierSeason),
        (status = 404, description = "No such resort, or no rides there", body = Problem),
    ),
)]
pub(crate) async fn days(
    State(api): State<Api>,
    ApiPath((skier, season)): ApiPath<(SkierId, Season)>,
    query: ApiQuery,
) -> Result<ApiJson<SkierSeason>, ApiError> {
    let resorts = query.resorts(&api.catalogue)?;
    let wanted = |on: &ResortDay| {
        on.season == season && (resorts.is_empty() || resorts.contains(&on.resort))
    };
    let row = |(on, rides): (ResortDay, Vec<Boarding>)| SkierDay {
        resort: on.resort,
        day: on.day,
        vertical: api.vertical_m(on.resort, &rides),
        rides: rides.len(),
    };
    let found = days_with_rides(&api, skier, wanted).await?;
    let mut days: Vec<SkierDay> = found.into_iter().map(row).collect();
    if days.is_empty() {
        return Err(ApiError::NotFound(format!(
            "skier {skier} has no such days in season {season}"
        )));
    }
    days.sort_unstable_by_key(|day| (day.day, day.resort));
    Ok(ApiJson(SkierSeason {
        days_skied: days.len(),
        days,
    }))
}

/// A skier's rides of each of his days that are wanted.
async fn days_with_rides(
    api: &Api,
    skier: SkierId,
    wanted: impl Fn(&ResortDay) -> bool,
) -> Result<Vec<(ResortDay, Vec<Boarding>)>, ApiError> {
    let mut days = api.reader.days_of_skier(skier).await?;
    days.retain(wanted);
    let mut found = Vec::with_capacity(days.len());
    for days in days.chunks(DAYS_AT_ONCE) {
        let rides = api.reader.skier_on_days(skier, days).await?;
        found.extend(days.iter().copied().zip(rides));
    }
    // An index without its ledger is no ride.
    found.retain(|(_, rides)| !rides.is_empty());
    Ok(found)
}
