//! Changes that operators can request. Every change is planned first, shown, and then applied.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::UserRole;
use super::alarm::AlarmCode;
use super::settings::Section;

/// A requested change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "change", deny_unknown_fields)]
pub enum Change {
    /// Changes the worker settings. Null values are left unchanged.
    SetWorker {
        /// Threads of each worker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        threads: Option<u32>,
        /// Maximum unacknowledged rides of a thread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefetch: Option<u32>,
        /// Rides per full batch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<u32>,
        /// How long a batch waits for more rides, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linger_ms: Option<u32>,
        /// Fails unless the section is still at this version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_version: Option<u64>,
    },
    /// Changes the API settings. Null values are left unchanged.
    SetApi {
        /// Publisher channels of each API node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<u32>,
        /// Maximum rides per message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_rides: Option<u32>,
        /// Maximum rides in flight: published, but not yet confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_in_flight: Option<u32>,
        /// Fails unless the section is still at this version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_version: Option<u64>,
    },
    /// Changes the ingest policy.
    SetIngest {
        /// Whether ingest keys are required.
        keys: bool,
        /// Fails unless the section is still at this version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_version: Option<u64>,
    },
    /// Changes how many nodes may run. Null values are left unchanged.
    SetFleet {
        /// Minimum number of workers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker_min: Option<u32>,
        /// Maximum number of workers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker_max: Option<u32>,
        /// Minimum number of API nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_min: Option<u32>,
        /// Maximum number of API nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_max: Option<u32>,
        /// Fails unless the section is still at this version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_version: Option<u64>,
    },
    /// Starts and stops instances, and changes the settings of their nodes.
    Scale(Scale),
    /// Rolls a settings section back to an earlier version.
    Rollback {
        /// The section.
        section: Section,
        /// The version to restore; null for the previous one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// Pauses consumption on all workers.
    Pause {
        /// After how many seconds it ends by itself, from 1 to 604,800; null for not at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_s: Option<u64>,
    },
    /// Resumes consumption.
    Resume,
    /// Drains a node: it finishes its messages and receives no more.
    Drain {
        /// The node.
        node: String,
    },
    /// Lets a drained node resume work.
    Undrain {
        /// The node.
        node: String,
    },
    /// Forgets a node that is gone for good: it is no longer listed, and no alarm names it.
    Forget {
        /// The node.
        node: String,
    },
    /// Replays dead letters.
    Replay {
        /// Which dead letters.
        dead_letters: DeadLetterSelection,
        /// Maximum dead letters per second; null for 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        per_s: Option<f64>,
    },
    /// Permanently discards dead letters.
    Discard {
        /// Which dead letters.
        dead_letters: DeadLetterSelection,
    },
    /// Acknowledges an alarm that is raised now. It stays listed, and counts for the verdict again when it grows.
    Acknowledge {
        /// The kind of alarm.
        alarm: AlarmCode,
        /// Why, for the next reader of the alarm; null for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Rebuilds a day's counters and indexes from the ledger.
    Repair {
        /// The resort.
        resort: u64,
        /// The season, for example "2025".
        season: String,
        /// The day of the season.
        day: u64,
    },
    /// Moves days from Redis to the archive.
    Archive(SeasonDays),
    /// Moves archived days back to Redis.
    Restore(SeasonDays),
    /// Adds a user; the password is sent with the apply.
    AddUser {
        /// The name.
        name: String,
        /// The user's role.
        role: UserRole,
    },
    /// Changes a user's password, which is sent with the apply. Logs the user out everywhere.
    SetPassword {
        /// The name.
        name: String,
    },
    /// Changes a user's role. Logs the user out everywhere.
    SetRole {
        /// The name.
        name: String,
        /// The user's role.
        role: UserRole,
    },
    /// Removes a user.
    RemoveUser {
        /// The name.
        name: String,
    },
    /// Creates an API token; the outcome contains it, once.
    AddToken {
        /// A label: what it is for.
        name: String,
        /// Its role, at most that of its creator.
        role: UserRole,
        /// Lifetime, in seconds.
        expires_in_s: u64,
    },
    /// Revokes a token.
    RevokeToken {
        /// Its id.
        id: String,
    },
    /// Creates an ingest key; the outcome contains it, once.
    AddKey {
        /// A label: what it is for.
        name: String,
        /// The resorts for which it is valid; null for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resorts: Option<Vec<u64>>,
    },
    /// Revokes an ingest key.
    RevokeKey {
        /// Its id.
        id: String,
    },
}

/// Days of a resort's season.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeasonDays {
    /// The resort.
    pub resort: u64,
    /// The season, for example "2025".
    pub season: String,
    /// The first day of the season.
    pub first_day: u64,
    /// The last day, itself included.
    pub last_day: u64,
}

/// How many nodes or which instances should run, and their settings. Null values are left unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Number of running instances per role. The plan chooses which ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleCount>,
    /// Ids of instances to start: the named ones, or those that a plan chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// Ids of instances to stop. Their nodes are drained first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Threads of each worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Maximum unacknowledged rides of a worker thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<u32>,
    /// Rides per full batch of a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Publisher channels of each API node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// Fails unless this many instances of the one role are running or starting now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_running: Option<u32>,
    /// Whether the last instance of a role may be stopped.
    #[serde(default)]
    pub allow_zero: bool,
    /// Drain timeout: how long a node may take to finish its messages before its instance is stopped, in seconds; null for
    /// two minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout_s: Option<u32>,
    /// Whether an instance is stopped even if its node has not drained in time. Otherwise it keeps working.
    #[serde(default)]
    pub stop_anyway: bool,
}

impl Scale {
    /// Whether it starts or stops instances, and does not only change settings.
    #[must_use]
    pub fn is_of_machines(&self) -> bool {
        !(self.roles.is_empty() && self.start.is_empty() && self.stop.is_empty())
    }
}

/// Number of running instances of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleCount {
    /// The role.
    pub role: ScaledRole,
    /// The number, absolute or relative.
    pub count: Count,
}

/// A role whose instances can be started and stopped.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ScaledRole {
    /// API nodes.
    Api,
    /// Workers.
    Worker,
}

impl std::fmt::Display for ScaledRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Worker => "worker",
        })
    }
}

/// A number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// This many.
    To(u32),
    /// This many more, or fewer.
    By(i32),
}

/// A selection of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterSelection {
    /// All that exist when the plan is created.
    All,
    /// These.
    Ids(Vec<String>),
    /// All up to this number: what a plan stores for [`Self::All`], so that dead letters that arrive later are not included.
    UpTo(u64),
    /// Those whose reason contains a text, ignoring case.
    Reason {
        /// The text.
        text: String,
        /// The highest number; null for all that exist when the plan is created. A plan stores it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        up_to: Option<u64>,
    },
}
