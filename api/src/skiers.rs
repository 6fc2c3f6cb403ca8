//! A skier over many days, read from the skier's day index and then from the ledgers of the requested days.

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

/// Maximum days read from Redis in one call; more than any real skier has, further days take further calls.
const DAYS_AT_ONCE: usize = 1000;

/// A skier's vertical, season by season.
#[derive(Serialize, ToSchema)]
pub(crate) struct SkierVertical {
    /// Seasons with rides, in order.
    resorts: Vec<SeasonVertical>,
}

/// The vertical of one season over all requested resorts.
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
/// Summed over the requested resorts. Seasons without rides there are omitted.
#[utoipa::path(
    get,
    path = "/skiers/{skierID}/vertical",
    operation_id = "getSkierVertical",
    tag = "Skiers",
    params(
        ("resort" = Vec<number::ResortIdOrName>, Query, min_items = 1, max_items = 100,
            description = "The resorts, each by its ID or its exact name"),
        ("season" = Option<Vec<number::Season>>, Query, max_items = 100,
            description = "The seasons, all if omitted"),
    ),
    responses(
        (status = 200, description = "One row per season", body = SkierVertical),
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
        let message = "missing query parameter resort (ID or exact name; repeatable)";
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
        return Err(api.nothing_stored(format!(
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
    /// Number of days.
    #[serde(rename = "daysSkied")]
    days_skied: usize,
    /// By day, then by resort.
    days: Vec<SkierDay>,
}

/// A skier's day at one resort.
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
    /// Number of rides.
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
            description = "Only days at these resorts, each by its ID or its exact name"),
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
        return Err(
            api.nothing_stored(format!("skier {skier} has no such days in season {season}"))
        );
    }
    days.sort_unstable_by_key(|day| (day.day, day.resort));
    Ok(ApiJson(SkierSeason {
        days_skied: days.len(),
        days,
    }))
}

/// A skier's rides of each requested day.
async fn days_with_rides(
    api: &Api,
    skier: SkierId,
    wanted: impl Fn(&ResortDay) -> bool + Send + Sync,
) -> Result<Vec<(ResortDay, Vec<Boarding>)>, ApiError> {
    let days = api.reader.days_of_skier(skier, &wanted).await?;
    let mut found = Vec::with_capacity(days.len());
    for days in days.chunks(DAYS_AT_ONCE) {
        let rides = api.reader.skier_on_days(skier, days).await?;
        found.extend(days.iter().copied().zip(rides));
    }
    // An index entry without a ledger is not a ride.
    found.retain(|(_, rides)| !rides.is_empty());
    Ok(found)
}
