//! What is known of skiers and resorts. Metres are vertical metres.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/stats/skiers/{skier}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkierStats {
    /// The skier.
    pub skier: u64,
    /// His days, newest first.
    pub days: Vec<SkierDay>,
    /// Over all these days.
    pub rides: u64,
    /// Over all these days, in metres.
    pub vertical_m: u64,
    /// How fresh this is: the age of the oldest ride that is not stored, in milliseconds; null while it is not known.
    pub behind_ms: Option<u64>,
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
    /// Rides that came again.
    pub duplicates: u64,
    /// Metres, of all rides.
    pub vertical_m: u64,
    /// How fresh this is: the age of the oldest ride that is not stored, in milliseconds; null while it is not known.
    pub behind_ms: Option<u64>,
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
    /// Its name, where the catalogue has one.
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
    /// The most metres first.
    pub skiers: Vec<TopRow>,
}

/// A leader of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopRow {
    /// From 1.
    pub place: u64,
    /// The skier.
    pub skier: u64,
    /// Rides.
    pub rides: u64,
    /// Metres.
    pub vertical_m: u64,
}
