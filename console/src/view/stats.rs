//! Statistics of skiers and resorts. Metres are vertical metres.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/stats/resorts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResortList {
    /// Resorts by ID.
    pub resorts: Vec<ResortRow>,
}

/// A resort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResortRow {
    /// The resort.
    pub resort: u64,
    /// Its name.
    pub resort_name: String,
    /// Number of seasons.
    pub seasons: u64,
    /// The latest season; null if there is none.
    pub latest_season: Option<String>,
}

/// `GET /admin/v1/stats/resorts/{resort}/seasons`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeasonList {
    /// Seasons, oldest first.
    pub seasons: Vec<SeasonRow>,
}

/// A season of a resort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeasonRow {
    /// The season.
    pub season: String,
    /// Number of days with rides.
    pub days: u64,
    /// The first of them; null if there is none.
    pub first_day: Option<u64>,
    /// The last of them; null if there is none.
    pub last_day: Option<u64>,
}

/// `GET /admin/v1/stats/resorts/{resort}/seasons/{season}/days`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayList {
    /// Days with rides, in order.
    pub days: Vec<DayRow>,
}

/// A day of a season.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayRow {
    /// The day.
    pub day: u64,
    /// Skiers with rides.
    pub skiers: u64,
    /// Rides.
    pub rides: u64,
}

/// `GET /admin/v1/stats/skiers/{skier}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkierStats {
    /// The skier.
    pub skier: u64,
    /// The skier's days, newest first.
    pub days: Vec<SkierDay>,
    /// Over all these days.
    pub rides: u64,
    /// Over all these days, in metres.
    pub vertical_m: u64,
    /// Age of the oldest ride not yet stored, in milliseconds: how stale this may be; null if unknown.
    pub oldest_ride_age_ms: Option<u64>,
}

/// A skier's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkierDay {
    /// The resort.
    pub resort: u64,
    /// Its name.
    pub resort_name: String,
    /// The season.
    pub season: String,
    /// The day.
    pub day: u64,
    /// Rides.
    pub rides: u64,
    /// Metres.
    pub vertical_m: u64,
}

/// `GET /admin/v1/stats/resorts/{resort}/seasons/{season}/days/{day}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResortStats {
    /// The resort.
    pub resort: u64,
    /// Its name.
    pub resort_name: String,
    /// The season.
    pub season: String,
    /// The day.
    pub day: u64,
    /// Skiers.
    pub skiers: u64,
    /// Rides.
    pub rides: u64,
    /// Duplicate rides.
    pub duplicates: u64,
    /// Metres of all rides.
    pub vertical_m: u64,
    /// Age of the oldest ride not yet stored, in milliseconds: how stale this may be; null if unknown.
    pub oldest_ride_age_ms: Option<u64>,
}

/// `.../lifts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiftStats {
    /// By number; lifts without rides are left out.
    pub lifts: Vec<LiftRow>,
}

/// A lift's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiftRow {
    /// The lift.
    pub lift: u64,
    /// Its name; null if the catalogue has none.
    pub name: Option<String>,
    /// Rides.
    pub rides: u64,
    /// Metres of one ride.
    pub vertical_m: u64,
}

/// `.../hours`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HourStats {
    /// All 24, in order.
    pub hours: Vec<HourRow>,
}

/// An hour of the ski day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HourRow {
    /// From 0 to 23.
    pub hour: u64,
    /// Rides.
    pub rides: u64,
}

/// `.../top`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopStats {
    /// Most metres first.
    pub skiers: Vec<TopRow>,
}

/// A skier in the day's ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopRow {
    /// Rank, from 1.
    pub rank: u64,
    /// The skier.
    pub skier: u64,
    /// Rides.
    pub rides: u64,
    /// Metres.
    pub vertical_m: u64,
}
