//! How each role works: what operators may change while rides flow.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// How a worker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Lanes, each one AMQP channel and one Redis connection. A data folder has one lane, whatever is said here.
    pub threads: u32,
    /// Rides that a lane may hold unacknowledged.
    pub prefetch: u32,
    /// Rides at which a batch is full.
    pub batch: u32,
    /// How long a batch waits for more rides.
    pub linger_ms: u32,
}

/// How an API node publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Publisher lanes, each one AMQP channel. A data folder has one lane, whatever is said here.
    pub lanes: u32,
    /// Most rides in one message.
    pub message_rides: u32,
    /// Most rides that wait for their confirm at once; more are refused.
    pub max_in_flight: u32,
}

/// Who may post rides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ingest {
    /// Everybody who can reach the API.
    #[default]
    Open,
    /// Who shows an ingest key that covers the ride's resort.
    Keys,
}

/// How many nodes of each role may run. Nodes do not follow it: whoever starts and stops machines does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetBounds {
    /// The least workers.
    pub worker_min: u32,
    /// The most workers.
    pub worker_max: u32,
    /// The least API nodes.
    pub api_min: u32,
    /// The most API nodes.
    pub api_max: u32,
}

impl Default for FleetBounds {
    fn default() -> Self {
        Self {
            worker_min: 1,
            worker_max: 8,
            api_min: 1,
            api_max: 8,
        }
    }
}

/// A setting that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// One value is.
    #[error("{name} must be from {} to {}, not {got}", .range.start(), .range.end())]
    Range {
        /// The setting.
        name: &'static str,
        /// What it may be.
        range: RangeInclusive<u32>,
        /// What it was.
        got: u32,
    },
    /// A message would never leave.
    #[error("message_rides ({message_rides}) must not be above max_in_flight ({max_in_flight})")]
    MessageTooLarge {
        /// Most rides in one message.
        message_rides: u32,
        /// Most rides that may wait.
        max_in_flight: u32,
    },
    /// No number of nodes would do.
    #[error("{role}_min ({min}) must not be above {role}_max ({max})")]
    NoRoom {
        /// The role.
        role: &'static str,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
}

fn within(name: &'static str, got: u32, range: RangeInclusive<u32>) -> Result<(), InvalidSettings> {
    if range.contains(&got) {
        Ok(())
    } else {
        Err(InvalidSettings::Range { name, range, got })
    }
}

impl WorkerSettings {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// Names the first value that is out of its range.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        within("threads", self.threads, 1..=256)?;
        within("prefetch", self.prefetch, 1..=1_000_000)?;
        within("batch", self.batch, 1..=100_000)?;
        within("linger_ms", self.linger_ms, 0..=10_000)
    }
}

impl ApiSettings {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// Names the first value that is out of its range.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        within("lanes", self.lanes, 1..=64)?;
        within("message_rides", self.message_rides, 1..=10_000)?;
        within("max_in_flight", self.max_in_flight, 1..=1_000_000)?;
        if self.message_rides > self.max_in_flight {
            return Err(InvalidSettings::MessageTooLarge {
                message_rides: self.message_rides,
                max_in_flight: self.max_in_flight,
            });
        }
        Ok(())
    }
}

impl FleetBounds {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// Names the first value that is out of its range.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        within("worker_min", self.worker_min, 0..=256)?;
        within("worker_max", self.worker_max, 1..=256)?;
        within("api_min", self.api_min, 0..=256)?;
        within("api_max", self.api_max, 1..=256)?;
        for (role, min, max) in [
            ("worker", self.worker_min, self.worker_max),
            ("api", self.api_min, self.api_max),
        ] {
            if min > max {
                return Err(InvalidSettings::NoRoom { role, min, max });
            }
        }
        Ok(())
    }
}

/// By what a setting is known: two consoles that both wrote number 7 are told apart by the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// 1 is what the flags said; each change adds 1.
    pub number: u64,
    /// The first 32 bits of the XXH3 of the setting's JSON.
    pub hash: u32,
}

/// A setting with its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// By what it is known.
    pub generation: Generation,
    /// The setting.
    pub value: T,
}

impl<T: Serialize> Versioned<T> {
    /// The setting as version `number`.
    #[must_use]
    pub fn new(number: u64, value: T) -> Self {
        // Numbers and fixed names become JSON without fail.
        let json = serde_json::to_vec(&value).unwrap_or_default();
        let hash = (xxh3_64(&json) >> 32) as u32;
        Self {
            generation: Generation { number, hash },
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: WorkerSettings = WorkerSettings {
        threads: 2,
        prefetch: 4000,
        batch: 1000,
        linger_ms: 25,
    };

    #[test]
    fn a_value_out_of_range_is_named() {
        let zero = WorkerSettings {
            threads: 0,
            ..WORKER
        };
        assert_eq!(
            zero.check().unwrap_err().to_string(),
            "threads must be from 1 to 256, not 0"
        );
        assert_eq!(WORKER.check(), Ok(()));
        let api = ApiSettings {
            lanes: 1,
            message_rides: 300,
            max_in_flight: 200,
        };
        assert!(api.check().is_err());
    }

    #[test]
    fn equal_settings_have_equal_hashes() {
        let (one, other) = (Versioned::new(1, WORKER), Versioned::new(2, WORKER));
        assert_eq!(one.generation.hash, other.generation.hash);
        let changed = WorkerSettings {
            threads: 3,
            ..WORKER
        };
        assert_ne!(
            Versioned::new(1, changed).generation.hash,
            one.generation.hash
        );
    }
}
