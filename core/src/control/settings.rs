//! Settings of each role, which operators can change at runtime.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::setting;

/// Settings of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// Threads, each with one AMQP channel and one Redis connection. The embedded engine always runs one consumer.
    pub threads: u32,
    /// Maximum unacknowledged rides of a thread.
    pub prefetch: u32,
    /// Rides per full batch.
    pub batch: u32,
    /// How long a batch waits for more rides, in milliseconds.
    pub linger_ms: u32,
}

/// Settings of an API node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiSettings {
    /// Publisher channels, each with one AMQP channel. The embedded engine always has one.
    pub channels: u32,
    /// Maximum rides in one message.
    pub message_rides: u32,
    /// Maximum rides in flight; further rides are rejected with 503.
    pub max_in_flight: u32,
}

/// Ingest policy: who may post rides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ingest {
    /// Any client that reaches the API.
    #[default]
    Open,
    /// Only clients with an ingest key for the resort of the ride.
    Keys,
}

/// How many nodes of each role may run. Nodes ignore it; plans that start and stop instances follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetBounds {
    /// Minimum number of workers.
    pub worker_min: u32,
    /// Maximum number of workers.
    pub worker_max: u32,
    /// Minimum number of API nodes.
    pub api_min: u32,
    /// Maximum number of API nodes.
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

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// A value is out of range.
    #[error("{name} must be from {} to {}, not {got}", .range.start(), .range.end())]
    Range {
        /// The setting.
        name: &'static str,
        /// The valid range.
        range: RangeInclusive<u32>,
        /// The given value.
        got: u32,
    },
    /// A full message would exceed the limit of rides in flight.
    #[error("message_rides ({message_rides}) must not be above max_in_flight ({max_in_flight})")]
    MessageTooLarge {
        /// Maximum rides in one message.
        message_rides: u32,
        /// Maximum rides in flight.
        max_in_flight: u32,
    },
    /// No number of nodes is within the bounds.
    #[error("{role}_min ({min}) must not be above {role}_max ({max})")]
    NoRoom {
        /// The role.
        role: &'static str,
        /// The minimum.
        min: u32,
        /// The maximum.
        max: u32,
    },
}

impl WorkerSettings {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        setting::THREADS.check(self.threads)?;
        setting::PREFETCH.check(self.prefetch)?;
        setting::BATCH.check(self.batch)?;
        setting::LINGER_MS.check(self.linger_ms)
    }
}

impl ApiSettings {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        setting::CHANNELS.check(self.channels)?;
        setting::MESSAGE_RIDES.check(self.message_rides)?;
        setting::MAX_IN_FLIGHT.check(self.max_in_flight)?;
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
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        setting::WORKER_MIN.check(self.worker_min)?;
        setting::WORKER_MAX.check(self.worker_max)?;
        setting::API_MIN.check(self.api_min)?;
        setting::API_MAX.check(self.api_max)?;
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

/// Version and hash of a setting: the hash distinguishes two consoles that both wrote version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// Version 1 comes from the command-line flags; each change adds 1.
    pub version: u64,
    /// The first 32 bits of the XXH3 of the setting's JSON.
    pub hash: u32,
}

/// A setting with its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// Its version and hash.
    pub generation: Generation,
    /// The setting.
    pub value: T,
}

impl<T: Serialize> Versioned<T> {
    /// The setting as version `number`.
    #[must_use]
    pub fn new(number: u64, value: T) -> Self {
        // Numbers and fixed names can always be serialised.
        let json = serde_json::to_vec(&value).unwrap_or_default();
        let hash = (xxh3_64(&json) >> 32) as u32;
        Self {
            generation: Generation {
                version: number,
                hash,
            },
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
            channels: 1,
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
