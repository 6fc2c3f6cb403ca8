//! One day of a resort: its skiers, lifts, hours and leaders.

use axum::extract::State;
use serde::Serialize;
use skilift_core::ride::{LiftId, ResortDay, SkierId};
use skilift_core::store::counters::HOURS;
use skilift_core::store::leaders::{Leader, MAX_LEADERS};
use utoipa::ToSchema;

use crate::error::{ApiError, Problem};
use crate::extract::{ApiJson, ApiPath};
use crate::openapi::number;
use crate::query::ApiQuery;
use crate::state::Api;

/// Default number of leaders.
const FEW: usize = 10;

/// Number of skiers at a resort.
#[derive(Serialize, ToSchema)]
pub(crate) struct DaySkiers {
    /// The resort's name. The field is called `time` for compatibility with existing clients.
    #[schema(example = "Zermatt")]
    time: String,
    /// Skiers with at least one ride.
    #[serde(rename = "numSkiers")]
    #[schema(example = 78999)]
    num_skiers: u64,
}

/// Number of skiers of a day
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/skiers",
    operation_id = "getDaySkiers",
    tag = "Resort days",
    responses(
        (status = 200, description = "The number of skiers", body = DaySkiers),
        (status = 404, description = "The day has no rides", body = Problem),
    ),
)]
pub(crate) async fn skiers(
    State(api): State<Api>,
    ApiPath(on): ApiPath<ResortDay>,
) -> Result<ApiJson<DaySkiers>, ApiError> {
    let num_skiers = api.reader.skiers_on(on).await?;
    if num_skiers == 0 {
        return Err(no_rides(&api, on));
    }
    Ok(ApiJson(DaySkiers {
        time: api.catalogue.name(on.resort),
        num_skiers,
    }))
}

/// The lifts of a day.
#[derive(Serialize, ToSchema)]
pub(crate) struct DayLifts {
    /// Lifts with rides, by number.
    lifts: Vec<LiftRides>,
}

/// Rides of a lift.
#[derive(Serialize, ToSchema)]
pub(crate) struct LiftRides {
    #[serde(rename = "liftID")]
    #[schema(value_type = number::LiftId)]
    lift: LiftId,
    #[schema(value_type = u64)]
    rides: u32,
}

/// Rides of every lift
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/lifts",
    operation_id = "getDayLifts",
    tag = "Resort days",
    responses(
        (status = 200, description = "Lifts with rides", body = DayLifts),
        (status = 404, description = "The day has no rides", body = Problem),
    ),
)]
pub(crate) async fn lifts(
    State(api): State<Api>,
    ApiPath(on): ApiPath<ResortDay>,
) -> Result<ApiJson<DayLifts>, ApiError> {
    let counters = api.reader.counters(on).await?;
    if counters.lifts.is_empty() {
        return Err(no_rides(&api, on));
    }
    let row = |(lift, rides)| LiftRides { lift, rides };
    Ok(ApiJson(DayLifts {
        lifts: counters.lifts.into_iter().map(row).collect(),
    }))
}

/// Rides of one lift
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/lifts/{liftID}",
    operation_id = "getDayLift",
    tag = "Resort days",
    responses(
        (status = 200, description = "The lift's rides", body = LiftRides),
        (status = 404, description = "The lift has no rides on this day", body = Problem),
    ),
)]
pub(crate) async fn lift(
    State(api): State<Api>,
    ApiPath((on, lift)): ApiPath<(ResortDay, LiftId)>,
) -> Result<ApiJson<LiftRides>, ApiError> {
    let rides = api.reader.lift_rides(on, lift).await?;
    if rides == 0 {
        return Err(api.nothing_stored(format!(
            "lift {lift} of {} has no rides on day {} of season {}",
            api.catalogue.name(on.resort),
            on.day,
            on.season
        )));
    }
    Ok(ApiJson(LiftRides { lift, rides }))
}

/// The hours of a day.
#[derive(Serialize, ToSchema)]
pub(crate) struct DayHours {
    /// All 24 hours.
    #[schema(min_items = 24, max_items = 24)]
    hours: Vec<HourRides>,
}

/// Rides that started in an hour.
#[derive(Serialize, ToSchema)]
pub(crate) struct HourRides {
    #[schema(minimum = 0, maximum = 23)]
    hour: usize,
    #[schema(value_type = u64)]
    rides: u32,
}

/// Rides of every hour
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/hours",
    operation_id = "getDayHours",
    tag = "Resort days",
    responses(
        (status = 200, description = "The hours 0 to 23", body = DayHours),
        (status = 404, description = "The day has no rides", body = Problem),
    ),
)]
pub(crate) async fn hours(
    State(api): State<Api>,
    ApiPath(on): ApiPath<ResortDay>,
) -> Result<ApiJson<DayHours>, ApiError> {
    let counters = api.reader.counters(on).await?;
    if counters.hours == [0; HOURS] {
        return Err(no_rides(&api, on));
    }
    let row = |(hour, rides)| HourRides { hour, rides };
    Ok(ApiJson(DayHours {
        hours: counters.hours.into_iter().enumerate().map(row).collect(),
    }))
}

/// The leaders of a day.
#[derive(Serialize, ToSchema)]
pub(crate) struct DayLeaders {
    /// By vertical, then by rides, then by number.
    #[schema(min_items = 1, max_items = 100)]
    skiers: Vec<LeaderRow>,
}

/// One leader.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeaderRow {
    #[serde(rename = "skierID")]
    #[schema(value_type = number::SkierId)]
    skier: SkierId,
    /// Metres.
    vertical: u64,
    /// Number of rides.
    rides: usize,
}

/// The skiers with the most vertical
///
/// Recomputed at most every five seconds.
#[utoipa::path(
    get,
    path = "/resorts/{resortID}/seasons/{seasonID}/day/{dayID}/top",
    operation_id = "getDayTop",
    tag = "Resort days",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Number of leaders, 10 if omitted"),
    ),
    responses(
        (status = 200, description = "The leaders", body = DayLeaders),
        (status = 404, description = "The day has no rides", body = Problem),
    ),
)]
pub(crate) async fn top(
    State(api): State<Api>,
    ApiPath(on): ApiPath<ResortDay>,
    query: ApiQuery,
) -> Result<ApiJson<DayLeaders>, ApiError> {
    let limit = query.limit(FEW, MAX_LEADERS)?;
    let leaders = api.leaders.of(&*api.reader, &api.catalogue, on).await?;
    if leaders.is_empty() {
        return Err(no_rides(&api, on));
    }
    let row = |leader: &Leader| LeaderRow {
        skier: leader.skier,
        vertical: leader.vertical_m,
        rides: leader.rides,
    };
    Ok(ApiJson(DayLeaders {
        skiers: leaders.iter().take(limit).map(row).collect(),
    }))
}

fn no_rides(api: &Api, on: ResortDay) -> ApiError {
    api.nothing_stored(format!(
        "{} has no rides on day {} of season {}",
        api.catalogue.name(on.resort),
        on.day,
        on.season
    ))
}
