//! What operators may ask for. Every change is planned first, shown, and then applied.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::UserRole;
use super::settings::Section;

/// A change, as it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "change", deny_unknown_fields)]
pub enum Change {
    /// Change how workers work. What is null stays.
    SetWorker {
        /// Lanes of each worker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        threads: Option<u32>,
        /// Rides that a lane may hold unacknowledged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefetch: Option<u32>,
        /// Rides at which a batch is full.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<u32>,
        /// How long a batch waits for more rides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        linger_ms: Option<u32>,
        /// Only if this number is what is set now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_number: Option<u64>,
    },
    /// Change how API nodes publish. What is null stays.
    SetApi {
        /// Lanes of each API node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lanes: Option<u32>,
        /// Most rides in one message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_rides: Option<u32>,
        /// Most rides that wait for their confirm at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_in_flight: Option<u32>,
        /// Only if this number is what is set now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_number: Option<u64>,
    },
    /// Change who may post rides.
    SetIngest {
        /// Whether keys are asked for.
        keys: bool,
        /// Only if this number is what is set now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_number: Option<u64>,
    },
    /// Change how many nodes may run. What is null stays.
    SetFleet {
        /// The least workers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker_min: Option<u32>,
        /// The most workers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        worker_max: Option<u32>,
        /// The least API nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_min: Option<u32>,
        /// The most API nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_max: Option<u32>,
        /// Only if this number is what is set now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_number: Option<u64>,
    },
    /// Start and stop machines, and change how their nodes work.
    Scale(Scale),
    /// Set a section to what it was.
    Rollback {
        /// Which.
        section: Section,
        /// The number of the version; null for the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
    },
    /// Stop consuming, on every worker.
    Pause,
    /// Consume again.
    Resume,
    /// Let a node finish what it has and take no more.
    Drain {
        /// The node.
        node: String,
    },
    /// Let a drained node work again.
    Undrain {
        /// The node.
        node: String,
    },
    /// Send dead letters again.
    Replay {
        /// Which.
        letters: LetterChoice,
        /// At most so many a second; null for 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        per_s: Option<f64>,
    },
    /// Throw dead letters away for ever.
    Discard {
        /// Which.
        letters: LetterChoice,
    },
    /// Write the counters and indexes of a day anew, from its ledger.
    Repair {
        /// The resort.
        resort: u64,
        /// The season, as "2025".
        season: String,
        /// The day of the season.
        day: u64,
    },
    /// Let somebody in by name and password; the password comes with the apply.
    AddUser {
        /// The name.
        name: String,
        /// What he may do.
        role: UserRole,
    },
    /// Give a user another password, which comes with the apply. It ends his logins.
    SetPassword {
        /// The name.
        name: String,
    },
    /// Let a user do more or less. It ends his logins.
    SetRole {
        /// The name.
        name: String,
        /// What he may do.
        role: UserRole,
    },
    /// Let a user in no more.
    RemoveUser {
        /// The name.
        name: String,
    },
    /// Make an API token; it comes with the outcome, once.
    AddToken {
        /// What it is for.
        name: String,
        /// What it may do, at most what its maker may.
        role: UserRole,
        /// How long it counts, in seconds.
        expires_in_s: u64,
    },
    /// Let a token count no more.
    RevokeToken {
        /// Its id.
        id: String,
    },
    /// Make an ingest key; it comes with the outcome, once.
    AddKey {
        /// What it is for.
        name: String,
        /// The resorts for which it counts; null for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resorts: Option<Vec<u64>>,
    },
    /// Let an ingest key count no more.
    RevokeKey {
        /// Its id.
        id: String,
    },
}

/// How many nodes shall run, or which machines; and how they shall work. What is null stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// How many machines of each role shall run. Which of them is chosen by the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleCount>,
    /// Machines to start, by id: those that are named, or those that a plan chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// Machines to stop, likewise. Their nodes are drained first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Lanes of each worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Rides that a worker's lane may hold unacknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<u32>,
    /// Rides at which a worker's batch is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Lanes of each API node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// Only if so many machines of the one role run or start now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_running: Option<u32>,
    /// Whether the last machine of a role may be stopped.
    #[serde(default)]
    pub allow_zero: bool,
    /// How long a node may take to finish what it has before its machine is stopped, in seconds; null for two minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout_s: Option<u32>,
    /// Whether a machine is stopped although its node has not finished by then. Otherwise it goes on working.
    #[serde(default)]
    pub stop_anyway: bool,
}

impl Scale {
    /// Whether it is about machines, and not only about how nodes work.
    #[must_use]
    pub fn is_of_machines(&self) -> bool {
        !(self.roles.is_empty() && self.start.is_empty() && self.stop.is_empty())
    }
}

/// How many machines of a role shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleCount {
    /// Which.
    pub role: ScaledRole,
    /// How many.
    pub count: Count,
}

/// A role whose machines can be started and stopped.
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

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// So many.
    To(u32),
    /// So many more, or fewer.
    By(i32),
}

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetterChoice {
    /// All that there are when the plan is made.
    All,
    /// These.
    Ids(Vec<String>),
    /// All up to this number: what a plan keeps of [`Self::All`], so that letters that come later are not among them.
    Through(u64),
}
