//! The status that a node sends each second.
//!
//! Counters only increase, from 0 at the node's start: a rate is the difference of two heartbeats divided by the time
//! between them, and a lost heartbeat does no harm.

use serde::{Deserialize, Serialize};

use super::identity::{BootId, NodeId, Role};
use super::settings::{ApiSettings, Generation, WorkerSettings};
use crate::health::Health;

/// One heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node.
    pub node: NodeId,
    /// Its process instance.
    pub boot_id: BootId,
    /// The host that it runs on.
    pub host: String,
    /// The EC2 instance that it runs on, if known.
    pub instance_id: Option<String>,
    /// Skilift's version.
    pub version: String,
    /// The number of this heartbeat in this boot, which only increases: clocks may be set back.
    pub number: u64,
    /// When it started, in milliseconds since 1970, by its own clock.
    pub started_at_ms: u64,
    /// When it sent this, in milliseconds since 1970, by its own clock.
    pub sent_at_ms: u64,
    /// The generation that it runs; `None` while its command-line flags apply.
    pub generation: Option<Generation>,
    /// Its activity.
    pub activity: Activity,
    /// Its health.
    pub health: Health,
    /// CPU time that it has used, in milliseconds, of all threads.
    pub cpu_ms: u64,
    /// CPU cores that it may use; 0 if unknown.
    #[serde(default)]
    pub cores: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Memory of its host, in bytes; 0 if unknown.
    #[serde(default)]
    pub memory_bytes: u64,
    /// The report of its role.
    pub report: Report,
}

/// Largest figure that a node can reach: the sums over all nodes stay far below 2^64.
pub const MAX_FIGURE: u64 = 1 << 48;

impl Heartbeat {
    /// The name of a figure that no node can have reached, if there is one: then it was not sent by a node of this version.
    #[must_use]
    pub fn implausible(&self) -> Option<&'static str> {
        let mut figures = vec![
            ("started_at_ms", self.started_at_ms),
            ("sent_at_ms", self.sent_at_ms),
            ("cpu_ms", self.cpu_ms),
            ("cores", self.cores),
            ("rss_bytes", self.rss_bytes),
            ("memory_bytes", self.memory_bytes),
        ];
        match &self.report {
            Report::Api(api) => {
                figures.extend([
                    ("accepted_rides", api.accepted_rides),
                    ("refused_requests", api.refused_requests),
                    ("denied_requests", api.denied_requests),
                    ("unkeyed_requests", api.unkeyed_requests),
                    ("reads", api.reads),
                    ("in_flight_rides", api.in_flight_rides),
                ]);
                for epoch in &api.confirmed {
                    figures.push(("rides", epoch.rides));
                }
                let backlog = api.backlog_rides.unwrap_or_default();
                if !(0.0..=MAX_FIGURE as f64).contains(&backlog) {
                    return Some("backlog_rides");
                }
            }
            Report::Worker(worker) => {
                figures.extend([
                    ("busy_ms", worker.busy_ms),
                    ("applied_rides", worker.applied_rides),
                    ("duplicate_rides", worker.duplicate_rides),
                    ("dead_lines", worker.dead_lines),
                    ("delivered_messages", worker.delivered_messages),
                    ("delivered_rides", worker.delivered_rides),
                    ("acked_messages", worker.acked_messages),
                    ("acked_rides", worker.acked_rides),
                    ("redelivered_messages", worker.redelivered_messages),
                ]);
                for consumer in &worker.consumers {
                    figures.push(("acked_messages", consumer.acked_messages));
                    figures.push(("acked_rides", consumer.acked_rides));
                }
            }
        }
        let mut above = figures.into_iter().filter(|(_, of)| *of > MAX_FIGURE);
        above.next().map(|(name, _)| name)
    }

    /// The node's role.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.report {
            Report::Api(_) => Role::Api,
            Report::Worker(_) => Role::Worker,
        }
    }
}

/// Activity of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Activity {
    /// It accepts work.
    Active,
    /// It is paused: a worker that neither consumes nor holds messages.
    Paused,
    /// It is finishing its messages.
    Draining {
        /// The plan that drained it; `None` if the process is stopping.
        plan: Option<String>,
    },
    /// It has finished its messages, and keeps running.
    Drained {
        /// The plan that drained it.
        plan: String,
    },
    /// Its process is exiting after its drain. This is its last heartbeat.
    Stopped,
}

/// Report of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "role")]
pub enum Report {
    /// An API node.
    Api(ApiReport),
    /// A worker.
    Worker(WorkerReport),
}

/// Report of an API node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiReport {
    /// Its settings.
    pub settings: ApiSettings,
    /// Running publisher channels.
    pub channels: u32,
    /// Rides that were answered 201.
    pub accepted_rides: u64,
    /// Requests with rides that were rejected with 503, or failed.
    pub refused_requests: u64,
    /// Requests with rides that were rejected with 401 or 403 because they have no valid ingest key.
    #[serde(default)]
    pub denied_requests: u64,
    /// Requests with rides without a valid ingest key that were let in, because none is required.
    #[serde(default)]
    pub unkeyed_requests: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Rides in flight.
    pub in_flight_rides: u64,
    /// This node's estimate of the rides in the queue; `None` while unknown.
    pub backlog_rides: Option<f64>,
    /// Why it is rejecting rides now.
    pub shedding: Vec<String>,
    /// Confirmed high-water mark of each epoch of each channel; of ended epochs only the last ones.
    pub confirmed: Vec<LaneConfirmed>,
    /// Durations of POSTs of a ride that were answered 201 since the last heartbeat, in microseconds: an `HdrHistogram` in its V2 form, base64.
    pub post_us: Option<String>,
    /// The serial of the ingest keys that it uses.
    pub keys_serial: u64,
}

/// Confirmed high-water mark of one epoch of a publisher channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneConfirmed {
    /// [`MessageId::epoch`](crate::message::MessageId::epoch).
    pub epoch: u64,
    /// [`MessageId::channel`](crate::message::MessageId::channel).
    pub channel: u16,
    /// Every message up to this number was confirmed.
    pub high_watermark: u64,
    /// The rides in them.
    pub rides: u64,
    /// Whether the epoch has ended.
    pub ended: bool,
}

/// Report of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its settings.
    pub settings: WorkerSettings,
    /// Time that its threads spent storing, not waiting for messages, in milliseconds, summed over the threads.
    pub busy_ms: u64,
    /// Rides added to the ledger.
    pub applied_rides: u64,
    /// Duplicate rides.
    pub duplicate_rides: u64,
    /// Lines that could not be applied.
    pub dead_lines: u64,
    /// Messages delivered to it.
    pub delivered_messages: u64,
    /// Rides in them.
    pub delivered_rides: u64,
    /// Messages that it acknowledged.
    pub acked_messages: u64,
    /// Rides in them.
    pub acked_rides: u64,
    /// Messages redelivered to it.
    pub redelivered_messages: u64,
    /// When its oldest unacked ride was accepted, in milliseconds since 1970; `None` if there is none.
    pub oldest_unacked_accepted_at_ms: Option<u64>,
    /// Times from acceptance to storage since the last heartbeat, in milliseconds, weighted by the rides of the message: an
    /// `HdrHistogram` in its V2 form, base64.
    pub accept_to_stored_ms: Option<String>,
    /// Its consumers.
    pub consumers: Vec<ConsumerReport>,
}

/// State of one consumer of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerReport {
    /// The thread within its worker, from 0.
    pub thread: u32,
    /// Maximum unacknowledged messages; 0 while it does not consume.
    pub prefetch_messages: u32,
    /// Unacknowledged messages.
    pub unacked_messages: u32,
    /// Messages that it acknowledged.
    pub acked_messages: u64,
    /// Rides in them.
    pub acked_rides: u64,
    /// Time of its last acknowledgement, in milliseconds since 1970.
    pub last_ack_at_ms: Option<u64>,
    /// Why it makes no progress; `None` if it does.
    pub blocked_reason: Option<String>,
}
