//! The queue: backlog, throughput, and how late rides are stored.

use serde::{Deserialize, Serialize};
use skilift_core::store::redis::durability::StoreDurability;
use utoipa::ToSchema;

use super::Reading;
use super::alarm::{AlarmCode, AlarmView};
use super::reconciliation::ReconciliationView;
use crate::registry::LOST_AFTER_MS;

/// `GET /admin/v1/queue`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// The stack.
    pub stack: String,
    /// When this was answered, in milliseconds since 1970.
    pub at_ms: u64,
    /// "RabbitMQ and Redis" or "data directory".
    pub engine: String,
    /// What says that Redis keeps acknowledged rides: "checked" (its settings), "managed" (the provider of the service) or "lossy" (nothing);
    /// of a data directory "checked".
    #[serde(default)]
    #[schema(required, value_type = String)]
    pub store_durability: StoreDurability,
    /// Set while consumption is paused.
    pub paused: Option<PauseView>,
    /// Messages in the queue that are ready for delivery.
    pub ready_messages: Reading<u64>,
    /// Messages delivered to workers and not yet acknowledged.
    pub unacked_messages: Reading<u64>,
    /// Ready and unacked messages.
    pub total_messages: Reading<u64>,
    /// Rides accepted and not yet settled.
    pub backlog_rides: Reading<u64>,
    /// Dead letters in the console's store and still in their queue.
    pub dead_letters: Reading<u64>,
    /// Rates in rides/s.
    pub rates: RatesView,
    /// Age of the oldest ride not yet stored, in milliseconds, as of `age_ms` ago. 0 means that none is waiting: a waiting
    /// ride is at least 1 ms old.
    pub oldest_ride_age_ms: Reading<u64>,
    /// Time from acceptance to storage, in milliseconds, over the last ten seconds.
    pub accept_to_stored_ms: LatencyView,
    /// Trend of the backlog.
    pub trend: Trend,
    /// Time until the backlog is drained.
    pub time_to_drain: DrainTime,
    /// Utilisation of API nodes and workers.
    pub utilisation: UtilisationView,
    /// One row per consumer.
    pub consumers: Vec<ConsumerView>,
    /// The proof that no accepted ride was lost.
    pub reconciliation: ReconciliationView,
    /// Figures of RabbitMQ's management API; null if its URL is not configured.
    pub management: Option<ManagementView>,
    /// What an operator should know now, most severe first.
    pub alarms: Vec<AlarmView>,
}

/// A pause of consumption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseView {
    /// Since when, in milliseconds since 1970.
    pub paused_at_ms: u64,
    /// The user or token that paused it.
    pub paused_by: String,
    /// When it ends by itself, in milliseconds since 1970; null for not at all.
    #[serde(default)]
    #[schema(required)]
    pub resumes_at_ms: Option<u64>,
    /// Nodes that are still consuming.
    pub nodes_pending: Vec<String>,
}

/// Rates over the last ten seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RatesView {
    /// Rides accepted by API nodes, per second.
    pub publish_per_s: Reading<f64>,
    /// Rides delivered to workers, per second.
    pub deliver_per_s: Reading<f64>,
    /// Rides settled and acknowledged by workers, per second.
    pub ack_per_s: Reading<f64>,
    /// Messages redelivered, per second.
    pub redelivered_per_s: Reading<f64>,
    /// Reads answered by API nodes, per second.
    pub reads_per_s: Reading<f64>,
    /// Requests with rides that API nodes rejected, per second: with 401, 403 or 503, and those that failed.
    pub rejected_per_s: Reading<f64>,
    /// Requests with rides without a valid ingest key that API nodes let in, per second, because none is required.
    pub unkeyed_per_s: Reading<f64>,
}

/// Quantiles, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatencyView {
    /// 50th percentile.
    pub p50: Reading<u64>,
    /// 95th percentile.
    pub p95: Reading<u64>,
    /// 99th percentile.
    pub p99: Reading<u64>,
}

impl LatencyView {
    /// Nothing of it is known, for this reason.
    pub(crate) fn unknown(why: &str) -> Self {
        let unknown = || Reading::unknown(why.to_owned());
        Self {
            p50: unknown(),
            p95: unknown(),
            p99: unknown(),
        }
    }
}

/// Trend of the backlog over the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// It is growing.
    Growing,
    /// It is unchanged, or empty.
    Steady,
    /// It is shrinking.
    Falling,
    /// Not enough data yet.
    Unknown,
}

/// Time to drain: `backlog / (ack - publish)`, where that is meaningful
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DrainTime {
    /// The backlog is empty.
    Empty,
    /// The backlog is at most about one second of arrivals: rides are in flight, and none is delayed.
    KeepingUp,
    /// Rides are stored as fast as they arrive: the backlog is stable.
    Stable,
    /// It is drained after this time.
    Eta {
        /// Seconds.
        eta_s: f64,
    },
    /// Rides are stored more slowly than they arrive, or not at all.
    Growing,
    /// Consumption is paused.
    Paused,
    /// A required number is unknown.
    Unknown {
        /// Which number, and why.
        reason: String,
    },
}

/// Utilisation of API nodes and workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UtilisationView {
    /// Of the API nodes.
    pub api: RoleUtilisationView,
    /// Of the workers.
    pub worker: RoleUtilisationView,
}

/// Utilisation of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoleUtilisationView {
    /// Nodes that send heartbeats.
    pub nodes: u64,
    /// Those of them that do not work: they are starting, unavailable, draining or drained.
    #[serde(default)]
    #[schema(required)]
    pub not_working: u64,
    /// Nodes whose heartbeats have stopped.
    pub lost: u64,
    /// Running worker threads or publisher channels.
    pub threads: u64,
    /// Fraction of time that worker threads are busy, from 0 to 1; not measured for API nodes.
    pub busy: Reading<f64>,
    /// CPU cores used.
    pub cpu_cores: Reading<f64>,
    /// Resident memory of all nodes, in bytes.
    pub rss_bytes: Reading<u64>,
}

/// A consumer: one thread of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConsumerView {
    /// The node.
    pub node: String,
    /// The host.
    pub host: String,
    /// The EC2 instance; null if unknown.
    pub instance_id: Option<String>,
    /// The thread, from 0.
    pub thread: u32,
    /// Maximum unacknowledged messages of this consumer.
    pub prefetch_messages: u32,
    /// Unacknowledged messages held by this consumer.
    pub unacked_messages: u32,
    /// Rides/s that it acknowledged, over the last ten seconds.
    pub ack_per_s: Reading<f64>,
    /// Time since its last acknowledgement, in milliseconds.
    pub last_ack_age_ms: Option<u64>,
    /// Why it makes no progress; null if it does.
    pub blocked_reason: Option<String>,
    /// Whether the heartbeats of its node have stopped.
    pub lost: bool,
    /// Age of the last heartbeat of its node, in milliseconds.
    #[serde(default)]
    #[schema(required)]
    pub last_heartbeat_age_ms: u64,
}

/// Who promises that stored rides are kept, if that is not checked.
pub(crate) fn durability_note(of: StoreDurability) -> Option<&'static str> {
    match of {
        StoreDurability::Checked => None,
        StoreDurability::Managed => Some("promised by the service, not checked"),
        StoreDurability::Lossy => Some("the last stored rides may be lost in a crash"),
    }
}

impl ConsumerView {
    /// Whether it is only the last known: no heartbeat arrived lately, and the console cannot tell whether that is the node's fault.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.lost && self.last_heartbeat_age_ms >= LOST_AFTER_MS
    }
}

impl QueueView {
    /// Who promises that stored rides are kept, if that is not checked.
    #[must_use]
    pub fn durability_note(&self) -> Option<&'static str> {
        durability_note(self.store_durability)
    }

    /// Why it is unknown whether rides are consumed, or why they are not although consumption is not paused; `None` if they are.
    #[must_use]
    pub fn not_consuming(&self) -> Option<&'static str> {
        self.alarms.iter().find_map(|alarm| match alarm.code {
            AlarmCode::QueueUnreachable => Some("unknown: the queue is unreachable"),
            AlarmCode::StoreUnreachable => Some("not storing: the store is unreachable"),
            AlarmCode::NoHeartbeats => Some("unknown: no heartbeats are received"),
            AlarmCode::NoWorker => Some("not consuming: no worker is up and undrained"),
            _ => None,
        })
    }
}

/// Figures of RabbitMQ's management API for the ride queue. A missing figure is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManagementView {
    /// Age of these figures, in milliseconds.
    pub age_ms: Option<u64>,
    /// Why it could not be queried.
    pub error: Option<String>,
    /// Ready messages.
    pub ready_messages: Option<u64>,
    /// Unacked messages.
    pub unacked_messages: Option<u64>,
    /// Messages published per second.
    pub publish_per_s: Option<f64>,
    /// Messages delivered per second.
    pub deliver_per_s: Option<f64>,
    /// Messages acknowledged per second.
    pub ack_per_s: Option<f64>,
    /// Messages redelivered per second.
    pub redeliver_per_s: Option<f64>,
    /// Consumers.
    pub consumers: Option<u64>,
    /// Total size of all message bodies, in bytes.
    pub message_bytes: Option<u64>,
}

/// `GET /admin/v1/queue/history`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryView {
    /// Seconds between two points: 1 or 60.
    pub step_s: u64,
    /// The points, oldest first. There is no point where no data was available.
    pub points: Vec<HistoryPoint>,
}

/// One point of the history: means over its step, each of which may be unknown. Counts are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPoint {
    /// Start of its step, in milliseconds since 1970.
    pub at_ms: u64,
    /// Rides accepted per second.
    pub publish_per_s: Option<f64>,
    /// Rides acknowledged per second.
    pub ack_per_s: Option<f64>,
    /// Reads answered per second.
    pub reads_per_s: Option<f64>,
    /// Requests with rides rejected per second.
    #[serde(default)]
    #[schema(required)]
    pub rejected_per_s: Option<f64>,
    /// Rides in the backlog.
    #[serde(default, deserialize_with = "whole")]
    pub backlog_rides: Option<u64>,
    /// 99th percentile of the time from acceptance to storage, in milliseconds.
    #[serde(default, deserialize_with = "whole")]
    pub accept_to_stored_p99_ms: Option<u64>,
    /// Age of the oldest ride not yet stored, in milliseconds.
    #[serde(default, deserialize_with = "whole")]
    pub oldest_ride_age_ms: Option<u64>,
    /// Dead letters.
    #[serde(default, deserialize_with = "whole")]
    pub dead_letters: Option<u64>,
    /// Worker nodes that sent heartbeats.
    #[serde(default, deserialize_with = "whole")]
    pub workers: Option<u64>,
    /// Running worker threads.
    #[serde(default, deserialize_with = "whole")]
    pub threads: Option<u64>,
}

impl HistoryPoint {
    /// Its columns as CSV.
    pub const COLUMNS: [&str; 11] = [
        "at_ms",
        "publish_per_s",
        "ack_per_s",
        "reads_per_s",
        "rejected_per_s",
        "backlog_rides",
        "accept_to_stored_p99_ms",
        "oldest_ride_age_ms",
        "dead_letters",
        "workers",
        "threads",
    ];
}

/// Accepts a whole number also when written as 3.0 or as a mean, as earlier versions did.
fn whole<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number: Option<f64> = Option::deserialize(from)?;
    Ok(number.map(|number| number.round() as u64))
}
