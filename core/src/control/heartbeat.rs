//! What a node says of itself each second.
//!
//! Counts only grow, from 0 at the node's start: a rate is the difference of two heartbeats by the time between them, and a
//! heartbeat that was lost changes nothing.

use serde::{Deserialize, Serialize};

use super::identity::{BootId, NodeId, Role};
use super::settings::{ApiSettings, Generation, WorkerSettings};
use crate::health::Health;

/// One heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub boot: BootId,
    /// The host that it runs on.
    pub host: String,
    /// The EC2 instance that it runs on, where that is known.
    pub instance: Option<String>,
    /// Skilift's version.
    pub version: String,
    /// The number of this heartbeat in this life, which only grows: clocks may be set back.
    pub number: u64,
    /// When it started, in milliseconds since 1970, by its own clock.
    pub started_at_ms: u64,
    /// When it sent this, in milliseconds since 1970, by its own clock.
    pub sent_at_ms: u64,
    /// The generation that it runs; `None` while its flags rule.
    pub generation: Option<Generation>,
    /// Whether it works.
    pub activity: Activity,
    /// How it is.
    pub health: Health,
    /// CPU time that it has used, in milliseconds, of all threads.
    pub cpu_ms: u64,
    /// Memory that it holds.
    pub rss_bytes: u64,
    /// What its role has to say.
    pub report: Report,
}

impl Heartbeat {
    /// The node's role.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.report {
            Report::Api(_) => Role::Api,
            Report::Worker(_) => Role::Worker,
        }
    }
}

/// Whether a node works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Activity {
    /// It takes work.
    Working,
    /// It was told to pause: a worker that consumes nothing and holds nothing.
    Paused,
    /// It finishes what it has.
    Draining {
        /// The plan that asked for it; `None` when the process ends.
        plan: Option<String>,
    },
    /// It has finished, and stays.
    Drained {
        /// The plan that asked for it.
        plan: String,
    },
    /// Its process ends now, having finished what it could. This is its last heartbeat.
    Ended,
}

/// What a role has to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "role")]
pub enum Report {
    /// An API node.
    Api(ApiReport),
    /// A worker.
    Worker(WorkerReport),
}

/// What an API node has to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiReport {
    /// How it publishes.
    pub settings: ApiSettings,
    /// Lanes that run.
    pub lanes: u32,
    /// Rides that were answered 201.
    pub accepted_rides: u64,
    /// Requests for rides that were refused with 503.
    pub refused_requests: u64,
    /// Questions that were answered.
    pub reads: u64,
    /// Rides that wait for their confirm.
    pub in_flight_rides: u64,
    /// Rides in the queue, as this node estimates them; `None` while it does not know.
    pub backlog_rides: Option<f64>,
    /// Why it refuses rides now.
    pub shedding: Vec<String>,
    /// How far each life of each lane is confirmed, of those that ended only the last ones.
    pub confirmed: Vec<LaneConfirmed>,
    /// Durations of POSTs of a ride that were answered 201 since the last heartbeat, in microseconds: an `HdrHistogram` in its V2 form, base64.
    pub post_us: Option<String>,
    /// The serial of the ingest keys that it checks by.
    pub keys_serial: u64,
}

/// How far one life of a publisher lane is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneConfirmed {
    /// [`MessageId::epoch`](crate::message::MessageId::epoch).
    pub epoch: u64,
    /// [`MessageId::lane`](crate::message::MessageId::lane).
    pub lane: u16,
    /// Every message up to this number was confirmed.
    pub through: u64,
    /// The rides in them.
    pub rides: u64,
    /// Whether nothing more comes of it.
    pub ended: bool,
}

/// What a worker has to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// How it works.
    pub settings: WorkerSettings,
    /// Time that its lanes spent on storing and not on waiting for messages, in milliseconds, summed over the lanes.
    pub busy_ms: u64,
    /// Rides that were new in the ledger.
    pub applied_rides: u64,
    /// Rides that were there already.
    pub duplicate_rides: u64,
    /// Lines that could not be applied.
    pub dead_lines: u64,
    /// Messages that it took.
    pub delivered_messages: u64,
    /// Rides in them.
    pub delivered_rides: u64,
    /// Messages that it acknowledged.
    pub acked_messages: u64,
    /// Rides in them.
    pub acked_rides: u64,
    /// Messages that came back from another life of some lane.
    pub redelivered_messages: u64,
    /// When the oldest ride that it holds was accepted, in milliseconds since 1970; `None` while it holds none.
    pub oldest_held_accepted_at_ms: Option<u64>,
    /// How long it has held the message that it holds longest, in milliseconds; `None` while it holds none.
    pub longest_held_ms: Option<u64>,
    /// Times from acceptance to storage since the last heartbeat, in milliseconds, each counted by its message's rides: an
    /// `HdrHistogram` in its V2 form, base64.
    pub stored_after_ms: Option<String>,
    /// Its lanes.
    pub lanes: Vec<ConsumerReport>,
}

/// What one lane of a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerReport {
    /// The lane within its worker, from 0.
    pub lane: u32,
    /// Messages that it may hold; 0 while it does not consume.
    pub prefetch_messages: u32,
    /// Messages that it holds.
    pub held_messages: u32,
    /// Messages that it acknowledged.
    pub acked_messages: u64,
    /// Rides in them.
    pub acked_rides: u64,
    /// When it acknowledged last, in milliseconds since 1970.
    pub last_ack_at_ms: Option<u64>,
    /// What keeps it from working, when something does.
    pub hindrance: Option<String>,
}
