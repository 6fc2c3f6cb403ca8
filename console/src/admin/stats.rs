//! Statistics of skiers and resorts.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use skilift_core::ride::{Day, ResortDay, ResortId, Season, SkierId};
use skilift_core::store::leaders::MAX_LEADERS;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, limit};
use crate::console::Console;
use crate::stats;
use crate::view::Problem;
use crate::view::stats::{
    DayList, HourStats, LiftStats, ResortList, ResortStats, SeasonList, SkierStats, TopStats,
};

/// A day in the URL path, with each number as it was sent.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DayPath {
    /// The resort, from 1 to 65535.
    resort: String,
    /// The season, for example "2025".
    season: String,
    /// The day of the season, from 1.
    day: String,
}

impl DayPath {
    fn read(&self) -> Result<ResortDay, ApiError> {
        Ok(ResortDay {
            resort: self.resort.parse::<ResortId>()?,
            season: self.season.parse::<Season>()?,
            day: self.day.parse::<Day>()?,
        })
    }
}

/// Resorts with rides
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts",
    operation_id = "listResorts",
    tag = "Stats",
    responses(
        (status = 200, description = "Resorts by ID; empty if there are none", body = ResortList),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn resorts(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<ResortList>, ApiError> {
    Ok(ApiJson(stats::resorts(&console).await?))
}

/// Seasons of a resort
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons",
    operation_id = "listSeasons",
    tag = "Stats",
    params(("resort" = String, Path, description = "The resort, from 1 to 65535")),
    responses(
        (status = 200, description = "Seasons, oldest first; empty if the resort has no rides", body = SeasonList),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn seasons(
    State(console): State<Arc<Console>>,
    ApiPath(resort): ApiPath<String>,
) -> Result<ApiJson<SeasonList>, ApiError> {
    let resort: ResortId = resort.parse()?;
    Ok(ApiJson(stats::seasons(&console, resort).await?))
}

/// Days of a resort's season
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons/{season}/days",
    operation_id = "listDays",
    tag = "Stats",
    params(
        ("resort" = String, Path, description = "The resort, from 1 to 65535"),
        ("season" = String, Path, description = "The season, for example \"2025\""),
    ),
    responses(
        (status = 200, description = "Days with rides, in order; empty if there are none", body = DayList),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn days(
    State(console): State<Arc<Console>>,
    ApiPath((resort, season)): ApiPath<(String, String)>,
) -> Result<ApiJson<DayList>, ApiError> {
    let (resort, season) = (resort.parse::<ResortId>()?, season.parse::<Season>()?);
    Ok(ApiJson(stats::days(&console, resort, season).await?))
}

/// All days of a skier
#[utoipa::path(
    get,
    path = "/admin/v1/stats/skiers/{skier}",
    operation_id = "getSkierStats",
    tag = "Stats",
    params(("skier" = String, Path, description = "The skier, from 1")),
    responses(
        (status = 200, description = "Days of the skier, newest first; empty if there are no rides", body = SkierStats),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn skier(
    State(console): State<Arc<Console>>,
    ApiPath(skier): ApiPath<String>,
) -> Result<ApiJson<SkierStats>, ApiError> {
    let skier: SkierId = skier.parse()?;
    Ok(ApiJson(stats::skier(&console, skier).await?))
}

/// A resort's day
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons/{season}/days/{day}",
    operation_id = "getResortStats",
    tag = "Stats",
    params(DayPath),
    responses(
        (status = 200, description = "Totals of the day; 0 if there are no rides", body = ResortStats),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn resort(
    State(console): State<Arc<Console>>,
    ApiPath(on): ApiPath<DayPath>,
) -> Result<ApiJson<ResortStats>, ApiError> {
    Ok(ApiJson(stats::resort(&console, on.read()?).await?))
}

/// The lifts of a resort's day
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons/{season}/days/{day}/lifts",
    operation_id = "getLiftStats",
    tag = "Stats",
    params(DayPath),
    responses(
        (status = 200, description = "Lifts with rides", body = LiftStats),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn lifts(
    State(console): State<Arc<Console>>,
    ApiPath(on): ApiPath<DayPath>,
) -> Result<ApiJson<LiftStats>, ApiError> {
    Ok(ApiJson(stats::lifts(&console, on.read()?).await?))
}

/// The hours of a resort's day
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons/{season}/days/{day}/hours",
    operation_id = "getHourStats",
    tag = "Stats",
    params(DayPath),
    responses(
        (status = 200, description = "All 24 hours", body = HourStats),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn hours(
    State(console): State<Arc<Console>>,
    ApiPath(on): ApiPath<DayPath>,
) -> Result<ApiJson<HourStats>, ApiError> {
    Ok(ApiJson(stats::hours(&console, on.read()?).await?))
}

/// Query of a ranking.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TopQuery {
    /// Maximum number of rows; default 10.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// The ranking of a resort's day
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons/{season}/days/{day}/top",
    operation_id = "getTopStats",
    tag = "Stats",
    params(DayPath, TopQuery),
    responses(
        (status = 200, description = "Skiers with the most vertical metres first", body = TopStats),
        (status = 400, description = "A path parameter is out of range", body = Problem),
        (status = 503, description = "The store is unavailable, or too many rankings are requested at once", body = Problem),
    ),
)]
pub(crate) async fn top(
    State(console): State<Arc<Console>>,
    ApiPath(on): ApiPath<DayPath>,
    ApiQuery(query): ApiQuery<TopQuery>,
) -> Result<ApiJson<TopStats>, ApiError> {
    let limit = limit(query.limit, 10, MAX_LEADERS)?;
    Ok(ApiJson(stats::top(&console, on.read()?, limit).await?))
}
