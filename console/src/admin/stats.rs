//! What is known of skiers and resorts.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use skilift_core::ride::{Day, ResortDay, ResortId, Season, SkierId};
use skilift_core::store::leaders::MOST;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, limit};
use crate::console::Console;
use crate::stats;
use crate::view::Problem;
use crate::view::stats::{HourStats, LiftStats, ResortStats, SkierStats, TopStats};

/// A day in the URL's path, each number as it was written.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DayPath {
    /// The resort, from 1 to 65535.
    resort: String,
    /// The season, as "2025".
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

/// All days of a skier
#[utoipa::path(
    get,
    path = "/admin/v1/stats/skiers/{skier}",
    operation_id = "getSkierStats",
    tag = "Stats",
    params(("skier" = String, Path, description = "The skier, from 1")),
    responses(
        (status = 200, description = "His days, newest first; none where he has no rides", body = SkierStats),
        (status = 400, description = "No such number", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
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
        (status = 200, description = "Its sums; 0 where it has no rides", body = ResortStats),
        (status = 400, description = "No such number", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
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
        (status = 400, description = "No such number", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
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
        (status = 400, description = "No such number", body = Problem),
        (status = 503, description = "The store does not answer", body = Problem),
    ),
)]
pub(crate) async fn hours(
    State(console): State<Arc<Console>>,
    ApiPath(on): ApiPath<DayPath>,
) -> Result<ApiJson<HourStats>, ApiError> {
    Ok(ApiJson(stats::hours(&console, on.read()?).await?))
}

/// How many leaders are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TopQuery {
    /// At most so many; left out: 10.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// The leaders of a resort's day
#[utoipa::path(
    get,
    path = "/admin/v1/stats/resorts/{resort}/seasons/{season}/days/{day}/top",
    operation_id = "getTopStats",
    tag = "Stats",
    params(DayPath, TopQuery),
    responses(
        (status = 200, description = "The most metres first", body = TopStats),
        (status = 400, description = "No such number", body = Problem),
        (status = 503, description = "The store does not answer, or many days are asked for at once", body = Problem),
    ),
)]
pub(crate) async fn top(
    State(console): State<Arc<Console>>,
    ApiPath(on): ApiPath<DayPath>,
    ApiQuery(query): ApiQuery<TopQuery>,
) -> Result<ApiJson<TopStats>, ApiError> {
    let limit = limit(query.limit, 10, MOST)?;
    Ok(ApiJson(stats::top(&console, on.read()?, limit).await?))
}
