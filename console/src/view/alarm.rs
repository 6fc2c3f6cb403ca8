//! Alarms: what an operator should know now.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An alarm. One cause gives one alarm; its consequences are part of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmView {
    /// What kind of alarm it is; there is at most one of each.
    pub code: AlarmCode,
    /// Its severity.
    pub severity: Severity,
    /// Since when, in milliseconds since 1970.
    pub since_at_ms: u64,
    /// How many messages, nodes or dead letters it is about; 0 if it is not about a number. An acknowledgement ends when it grows.
    #[serde(default)]
    #[schema(required)]
    pub count: u64,
    /// What happened, and what it means.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Path of the web console's page about it, for example "/nodes".
    #[serde(default)]
    pub link: String,
    /// Who acknowledged it, and when; null if it is not acknowledged.
    #[serde(default)]
    #[schema(required)]
    pub acknowledged: Option<AcknowledgedView>,
}

/// An acknowledgement of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgedView {
    /// The user or token.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Why; null if no reason was given.
    #[serde(default)]
    #[schema(required)]
    pub reason: Option<String>,
}

/// Severity of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A state that a user asked for.
    Info,
    /// Rides are still accepted and stored, but something needs attention.
    Warning,
    /// Rides are lost, rejected or not stored.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        })
    }
}

impl fmt::Display for AlarmCode {
    /// As in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        f.write_str(name.as_str().unwrap_or_default())
    }
}

impl FromStr for AlarmCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = serde_json::Value::String(text.to_owned());
        serde_json::from_value(name).map_err(|_| format!("there is no alarm {text:?}"))
    }
}

impl AlarmCode {
    /// Path of the web console's page about such an alarm.
    #[must_use]
    pub fn page(self) -> &'static str {
        match self {
            Self::Loss | Self::SuspectedLoss | Self::Paused => "/queue",
            Self::QueueUnreachable | Self::StoreUnreachable | Self::NoHeartbeats => "/doctor",
            Self::RidesRejected
            | Self::NoApiNode
            | Self::NoWorker
            | Self::NodesUnavailable
            | Self::NodesLost
            | Self::NodesDegraded
            | Self::DuplicateNodes
            | Self::ClockSkew => "/nodes",
            Self::RidesDenied => "/access",
            Self::InstancesUnknown => "/fleet",
            Self::ArchiveUnreadable => "/rides",
            Self::DeadLettersUnread | Self::DeadLetters => "/dead-letters",
            Self::ConflictingConsole => "/audit",
        }
    }
}

/// Kinds of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmCode {
    /// Messages are lost.
    Loss,
    /// RabbitMQ, or the queue of a data directory, cannot be reached.
    QueueUnreachable,
    /// Redis, or the store of a data directory, cannot be reached.
    StoreUnreachable,
    /// API nodes reject rides with 503.
    RidesRejected,
    /// API nodes reject rides with 401 or 403 because they have no valid ingest key.
    RidesDenied,
    /// No API node is up.
    NoApiNode,
    /// No worker is up, or every worker is drained.
    NoWorker,
    /// Nodes cannot work.
    NodesUnavailable,
    /// Messages are overdue, and may be lost.
    SuspectedLoss,
    /// The control channel to the nodes does not work.
    NoHeartbeats,
    /// The heartbeats of nodes have stopped.
    NodesLost,
    /// Nodes work, but with problems.
    NodesDegraded,
    /// Several processes send heartbeats under one name.
    DuplicateNodes,
    /// Dead letters cannot be read from their queue.
    DeadLettersUnread,
    /// Dead letters need attention.
    DeadLetters,
    /// Another console manages the same stack.
    ConflictingConsole,
    /// The instances of the fleet cannot be listed.
    InstancesUnknown,
    /// Files of archived days cannot be read.
    ArchiveUnreadable,
    /// The clocks of nodes differ from the console's.
    ClockSkew,
    /// Consumption is paused.
    Paused,
}
