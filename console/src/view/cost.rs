//! What the machines cost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;

/// `GET /admin/v1/cost`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostView {
    /// When this was put together, in milliseconds since 1970.
    pub at_ms: u64,
    /// What the prices are and from when.
    pub prices: PricesView,
    /// By role, those with machines that run.
    pub roles: Vec<RoleCostView>,
    /// All of them together, in USD an hour. Where a part is not known it is at least so much.
    pub usd_per_h: Reading<f64>,
    /// Rides that are stored each second, over the last ten seconds.
    pub stored_per_s: Reading<f64>,
    /// USD for a million stored rides, at that rate.
    pub usd_per_million_stored: Reading<f64>,
    /// Whether RabbitMQ's machines are in it; null while no machine was ever listed.
    pub has_broker: Option<bool>,
    /// Whether Redis' machines are in it, likewise.
    pub has_redis: Option<bool>,
    /// What else to know of these figures.
    pub notes: Vec<String>,
}

/// What the machines of a role cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoleCostView {
    /// The role.
    pub role: String,
    /// Its machines that run or start.
    pub up: u64,
    /// What they cost, in USD an hour.
    pub usd_per_h: Reading<f64>,
}

/// Where prices are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PricesView {
    /// The day on which they were so, as "2026-01-31".
    pub date: String,
    /// In whose words.
    pub source: String,
}

/// What a plan changes of the cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostChangeView {
    /// USD an hour now, of API nodes and workers.
    pub before_usd_per_h: Reading<f64>,
    /// USD an hour afterwards.
    pub after_usd_per_h: Reading<f64>,
    /// What the starts cost at least, in USD: each is billed for a minute or more.
    pub starts_usd: Reading<f64>,
    /// The day of the prices.
    pub prices_date: String,
}
