//! Archived days.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /admin/v1/archive`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchiveView {
    /// Directory with the files, on the host of the console; null if the console was started without one.
    pub directory: Option<String>,
    /// Archived days by resort, season and day.
    pub days: Vec<ArchivedDayView>,
}

/// An archived day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchivedDayView {
    /// The resort.
    pub resort: u64,
    /// The season.
    pub season: String,
    /// The day of the season.
    pub day: u64,
    /// Rides.
    pub rides: u64,
    /// Skiers.
    pub skiers: u64,
    /// Size of the file with the rides, in bytes.
    pub bytes: u64,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// When it was archived, in milliseconds since 1970.
    pub archived_at_ms: u64,
    /// Why its files cannot be read; null if they are there with the expected sizes.
    pub fault: Option<String>,
}
