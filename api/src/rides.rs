//! One skier's day at a resort: posting and reading its rides.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use skilift_core::packed::Boarding;
use skilift_core::ride::{LiftId, Minute, ResortDay, Ride, SkierId};
use utoipa::ToSchema;

use crate::error::{ApiError, Problem};
use crate::extract::{ApiJson, ApiPath, JsonBody};
use crate::ingest::Caller;
use crate::openapi::number;
use crate::state::Api;

/// A ride of the skier and the day in the URL.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct LiftRide {
    #[schema(value_type = number::Minute)]
    time: Minute,
    #[serde(rename = "liftID")]
    #[schema(value_type = number::LiftId)]
    lift: LiftId,
}

impl JsonBody for LiftRide {
    const IS: &'static str = "a lift ride";
}

impl From<Boarding> for LiftRide {
    fn from(ride: Boarding) -> Self {
        Self {
            time: ride.minute,
            lift: ride.lift,
        }
    }
}

/// Post a ride
///
/// 201 means that the ride is durable: no crash loses it, and it is counted only once, even if it is sent several times. After
/// 503 it may or may not be stored; sending it again is safe.
#[utoipa::path(
    post,
    path = "/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}",
    operation_id = "postRide",
    tag = "Rides",
    request_body = LiftRide,
    responses((status = 201, description = "The ride is durably accepted")),
)]
pub(crate) async fn post_ride(
    State(api): State<Api>,
    caller: Caller,
    ApiPath((on, skier)): ApiPath<(ResortDay, SkierId)>,
    ApiJson(body): ApiJson<LiftRide>,
) -> Result<StatusCode, ApiError> {
    let ride = Ride {
        resort: on.resort,
        season: on.season,
        day: on.day,
        skier,
        minute: body.time,
        lift: body.lift,
    };
    api.authorizer.check(caller, on.resort)?;
    api.catalogue.check_ride(&ride)?;
    api.publisher.publish(&ride).await?;
    Ok(StatusCode::CREATED)
}

/// A skier's vertical of a day
///
/// In metres, over all lifts.
#[utoipa::path(
    get,
    path = "/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}",
    operation_id = "getSkierDayVertical",
    tag = "Skiers",
    responses(
        (status = 200, description = "Metres", body = u64, content_type = "application/json", example = 2500),
        (status = 404, description = "The skier has no rides on this day", body = Problem),
    ),
)]
pub(crate) async fn day_vertical(
    State(api): State<Api>,
    ApiPath((on, skier)): ApiPath<(ResortDay, SkierId)>,
) -> Result<ApiJson<u64>, ApiError> {
    let rides = find(&api, on, skier).await?;
    Ok(ApiJson(api.vertical_m(on.resort, &rides)))
}

/// A skier's rides of a day.
#[derive(Serialize, ToSchema)]
pub(crate) struct DayRides {
    /// By time, then by lift.
    rides: Vec<LiftRide>,
}

/// A skier's rides of a day
#[utoipa::path(
    get,
    path = "/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}/rides",
    operation_id = "getSkierDayRides",
    tag = "Skiers",
    responses(
        (status = 200, description = "The rides, by time", body = DayRides),
        (status = 404, description = "The skier has no rides on this day", body = Problem),
    ),
)]
pub(crate) async fn day_rides(
    State(api): State<Api>,
    ApiPath((on, skier)): ApiPath<(ResortDay, SkierId)>,
) -> Result<ApiJson<DayRides>, ApiError> {
    let rides = find(&api, on, skier).await?;
    Ok(ApiJson(DayRides {
        rides: rides.into_iter().map(LiftRide::from).collect(),
    }))
}

async fn find(api: &Api, on: ResortDay, skier: SkierId) -> Result<Vec<Boarding>, ApiError> {
    let rides = api.reader.skier_day(on, skier).await?.unwrap_or_default();
    if rides.is_empty() {
        return Err(api.nothing_stored(format!(
            "skier {skier} has no rides at {} on day {} of season {}",
            api.catalogue.name(on.resort),
            on.day,
            on.season
        )));
    }
    Ok(rides)
}
