//! Cost of the instances.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;

/// `GET /admin/v1/cost`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostView {
    /// When this was collected, in milliseconds since 1970.
    pub at_ms: u64,
    /// Source and date of the prices.
    pub prices: PricesView,
    /// Cost per role with running instances.
    pub roles: Vec<RoleCostView>,
    /// Total, in USD per hour. If a part is unknown, this is a lower bound.
    pub usd_per_h: Reading<f64>,
    /// Rides stored per second, over the last ten seconds.
    pub stored_per_s: Reading<f64>,
    /// USD per million stored rides, at that rate.
    pub usd_per_million_stored: Reading<f64>,
    /// Whether RabbitMQ's instances are included; null if instances were never listed.
    pub has_broker: Option<bool>,
    /// Whether Redis' instances are included; null if instances were never listed.
    pub has_redis: Option<bool>,
    /// Notes on these figures.
    pub notes: Vec<String>,
}

/// Cost of the instances of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoleCostView {
    /// The role.
    pub role: String,
    /// Instances running or starting.
    pub running: u64,
    /// Their cost, in USD per hour.
    pub usd_per_h: Reading<f64>,
}

/// Origin of the prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PricesView {
    /// Date of the prices, for example "2026-01-31".
    pub date: String,
    /// Source of the prices.
    pub source: String,
}

/// Effect of a plan on the cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostChangeView {
    /// Current cost of API nodes and workers, in USD per hour.
    pub before_usd_per_h: Reading<f64>,
    /// Cost afterwards, in USD per hour.
    pub after_usd_per_h: Reading<f64>,
    /// Minimum cost of the starts, in USD: each is billed for at least one minute.
    pub starts_usd: Reading<f64>,
    /// Date of the prices.
    pub prices_date: String,
}
