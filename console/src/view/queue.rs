//! The queue: how much waits, how fast it moves, how late rides are stored.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reading;
use super::books::BooksView;

/// `GET /admin/v1/queue`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// The stack.
    pub stack: String,
    /// When this was put together, in milliseconds since 1970.
    pub at_ms: u64,
    /// "RabbitMQ and Redis" or "data folder".
    pub engine: String,
    /// Set while consumption is paused.
    pub paused: Option<PauseView>,
    /// Messages that wait for a worker.
    pub ready_messages: Reading<u64>,
    /// Messages that workers hold.
    pub unacked_messages: Reading<u64>,
    /// Messages that wait or are held.
    pub total_messages: Reading<u64>,
    /// Rides that were accepted and are not settled.
    pub total_rides: Reading<u64>,
    /// Dead letters: in the console's store and still in their queue.
    pub dead_letters: Reading<u64>,
    /// Rides a second.
    pub rates: RatesView,
    /// Age of the oldest ride that is not stored, in milliseconds, at the time that `age_ms` tells. 0 says that none waits: a
    /// ride that does is at least 1 ms old.
    pub oldest_ms: Reading<u64>,
    /// Time from acceptance to storage over the last ten seconds.
    pub stored_after: LatencyView,
    /// Where the backlog is going.
    pub trend: Trend,
    /// When the backlog is gone.
    pub drain: DrainTime,
    /// How much of what there is is used.
    pub utilisation: UtilisationView,
    /// A row for each consumer.
    pub consumers: Vec<ConsumerView>,
    /// The proof.
    pub books: BooksView,
    /// What RabbitMQ's management API says; null where its URL is not given.
    pub management: Option<ManagementView>,
    /// What an operator should know now, the gravest first.
    pub alarms: Vec<String>,
}

/// That consumption is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseView {
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// By whom.
    pub by: String,
    /// Nodes that still consume.
    pub not_yet: Vec<String>,
}

/// Rides a second, over the last ten seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RatesView {
    /// Rides that were accepted.
    pub publish_per_s: Reading<f64>,
    /// Rides that workers took.
    pub deliver_per_s: Reading<f64>,
    /// Rides that workers settled and acknowledged.
    pub ack_per_s: Reading<f64>,
    /// Messages that came back.
    pub redelivered_per_s: Reading<f64>,
    /// Questions that were answered.
    pub reads_per_s: Reading<f64>,
}

/// Quantiles, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LatencyView {
    /// Half of all rides were faster.
    pub p50_ms: Reading<u64>,
    /// 95 of 100 were.
    pub p95_ms: Reading<u64>,
    /// 99 of 100 were.
    pub p99_ms: Reading<u64>,
}

/// Where the backlog is going, over the last 30 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// More rides wait.
    Growing,
    /// As many wait, or none.
    Steady,
    /// Fewer wait.
    Falling,
    /// It cannot be told yet.
    Unknown,
}

/// When the backlog is gone: `backlog / (ack - publish)`, where that means something
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum DrainTime {
    /// Nothing waits.
    Empty,
    /// No more waits than arrives within about a second: rides are on their way, and none is kept waiting.
    KeepsUp,
    /// As much is stored as arrives: the backlog stays.
    Level,
    /// It is gone after so long.
    In {
        /// Seconds.
        seconds: f64,
    },
    /// Less is stored than arrives, or nothing.
    Never,
    /// A number that it needs is unknown.
    Unknown {
        /// Which, and why.
        why: String,
    },
}

/// How much of what there is is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UtilisationView {
    /// Of the API nodes.
    pub api: RoleUtilisationView,
    /// Of the workers.
    pub worker: RoleUtilisationView,
}

/// How much of a role is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoleUtilisationView {
    /// Nodes that are heard.
    pub nodes: u64,
    /// Nodes that are not heard any more.
    pub lost: u64,
    /// Lanes that run.
    pub threads: u64,
    /// The part of their time that workers' lanes are busy, from 0 to 1; unknown for API nodes, whose lanes only wait.
    pub busy: Reading<f64>,
    /// Cores used.
    pub cpu_cores: Reading<f64>,
    /// Memory of all.
    pub rss_bytes: Reading<u64>,
}

/// A consumer: one lane of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConsumerView {
    /// The node.
    pub node: String,
    /// The host.
    pub host: String,
    /// The EC2 instance, where it is known.
    pub instance: Option<String>,
    /// The lane, from 0.
    pub lane: u32,
    /// Messages that it may hold.
    pub prefetch_messages: u32,
    /// Messages that it holds.
    pub held_messages: u32,
    /// Rides a second that it acknowledged, over the last ten seconds.
    pub ack_per_s: Reading<f64>,
    /// How long ago it acknowledged last, in milliseconds.
    pub last_ack_age_ms: Option<u64>,
    /// What keeps it from working, when something does.
    pub hindrance: Option<String>,
    /// Whether its node is not heard any more.
    pub lost: bool,
}

/// What RabbitMQ's management API says of the ride queue. A figure that it does not give is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManagementView {
    /// How long ago it was asked, in milliseconds.
    pub age_ms: Option<u64>,
    /// Why it could not be asked.
    pub unknown: Option<String>,
    /// Messages that wait.
    pub ready_messages: Option<u64>,
    /// Messages that consumers hold.
    pub unacked_messages: Option<u64>,
    /// Messages a second that were published.
    pub publish_per_s: Option<f64>,
    /// Messages a second that were delivered.
    pub deliver_per_s: Option<f64>,
    /// Messages a second that were acknowledged.
    pub ack_per_s: Option<f64>,
    /// Messages a second that came back.
    pub redeliver_per_s: Option<f64>,
    /// Consumers.
    pub consumers: Option<u64>,
    /// Bytes of the bodies of all messages.
    pub message_bytes: Option<u64>,
}

/// `GET /admin/v1/queue/history`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryView {
    /// Seconds between two points: 1 or 60.
    pub step_s: u64,
    /// The points, oldest first. Where nothing was known there is none.
    pub points: Vec<HistoryPoint>,
}

/// One point of the history: means over its step, of which every one may be unknown. Counts are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPoint {
    /// When its step began, in milliseconds since 1970.
    pub at_ms: u64,
    /// Rides a second that were accepted.
    pub publish_per_s: Option<f64>,
    /// Rides a second that were acknowledged.
    pub ack_per_s: Option<f64>,
    /// Questions a second that were answered.
    pub reads_per_s: Option<f64>,
    /// Rides that waited.
    #[serde(default, deserialize_with = "whole")]
    pub backlog_rides: Option<u64>,
    /// 99 of 100 rides were stored after at most so many milliseconds.
    #[serde(default, deserialize_with = "whole")]
    pub stored_after_p99_ms: Option<u64>,
    /// Age of the oldest ride that was not stored, in milliseconds.
    #[serde(default, deserialize_with = "whole")]
    pub oldest_ms: Option<u64>,
    /// Dead letters.
    #[serde(default, deserialize_with = "whole")]
    pub dead_letters: Option<u64>,
    /// Worker nodes that were heard.
    #[serde(default, deserialize_with = "whole")]
    pub workers: Option<u64>,
    /// Worker lanes that ran.
    #[serde(default, deserialize_with = "whole")]
    pub threads: Option<u64>,
}

/// A whole number, also where it is written as 3.0 or is a mean: so earlier versions wrote them.
fn whole<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number: Option<f64> = Option::deserialize(from)?;
    Ok(number.map(|number| number.round() as u64))
}
