//! Every setting with its name, unit, range and help: flags, configuration, checks and forms come from here.

use std::ops::RangeInclusive;

use super::settings::InvalidSettings;

/// A number that operators can set.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in JSON and in the configuration.
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The valid values.
    pub range: RangeInclusive<u32>,
    /// What it sets.
    pub help: &'static str,
}

impl Setting {
    /// Checks a value against the range.
    ///
    /// # Errors
    /// If it is out of range.
    pub fn check(&'static self, value: u32) -> Result<(), InvalidSettings> {
        if self.range.contains(&value) {
            Ok(())
        } else {
            Err(InvalidSettings::Range {
                name: self.name,
                range: self.range.clone(),
                got: value,
            })
        }
    }

    /// The setting with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let all = WORKER_SETTINGS
            .into_iter()
            .chain(API_SETTINGS)
            .chain(FLEET_BOUNDS);
        all.into_iter().find(|setting| setting.name == name)
    }
}

/// Settings of a worker.
pub const WORKER_SETTINGS: [&Setting; 4] = [&THREADS, &PREFETCH, &BATCH, &LINGER_MS];
/// Settings of an API node.
pub const API_SETTINGS: [&Setting; 3] = [&CHANNELS, &MESSAGE_RIDES, &MAX_IN_FLIGHT];
/// How many nodes may run.
pub const FLEET_BOUNDS: [&Setting; 4] = [&WORKER_MIN, &WORKER_MAX, &API_MIN, &API_MAX];

/// Threads of a worker.
pub static THREADS: Setting = Setting {
    name: "threads",
    label: "Threads",
    unit: "threads",
    range: 1..=256,
    help: "Threads of each worker, each one AMQP channel and one Redis connection",
};
/// Prefetch of a thread.
pub static PREFETCH: Setting = Setting {
    name: "prefetch",
    label: "Prefetch",
    unit: "rides",
    range: 1..=1_000_000,
    help: "Maximum unacknowledged rides of a thread",
};
/// Batch of a worker.
pub static BATCH: Setting = Setting {
    name: "batch",
    label: "Batch",
    unit: "rides",
    range: 1..=100_000,
    help: "Maximum rides in a batch",
};
/// Linger of a batch.
pub static LINGER_MS: Setting = Setting {
    name: "linger_ms",
    label: "Linger",
    unit: "ms",
    range: 0..=10_000,
    help: "Maximum time that a batch waits for more rides",
};
/// Publisher channels of an API node.
pub static CHANNELS: Setting = Setting {
    name: "channels",
    label: "Channels",
    unit: "channels",
    range: 1..=64,
    help: "Publisher channels of each API node, each one AMQP channel",
};
/// Rides of a message.
pub static MESSAGE_RIDES: Setting = Setting {
    name: "message_rides",
    label: "Message",
    unit: "rides",
    range: 1..=10_000,
    help: "Maximum rides in one message",
};
/// Rides in flight of an API node.
pub static MAX_IN_FLIGHT: Setting = Setting {
    name: "max_in_flight",
    label: "In flight",
    unit: "rides",
    range: 1..=1_000_000,
    help: "Maximum unconfirmed rides of an API node; further rides are rejected with 503",
};
/// Fewest workers.
pub static WORKER_MIN: Setting = Setting {
    name: "worker_min",
    label: "Workers, at least",
    unit: "instances",
    range: 0..=256,
    help: "Minimum number of workers",
};
/// Most workers.
pub static WORKER_MAX: Setting = Setting {
    name: "worker_max",
    label: "Workers, at most",
    unit: "instances",
    range: 1..=256,
    help: "Maximum number of workers",
};
/// Fewest API nodes.
pub static API_MIN: Setting = Setting {
    name: "api_min",
    label: "API nodes, at least",
    unit: "instances",
    range: 0..=256,
    help: "Minimum number of API nodes",
};
/// Most API nodes.
pub static API_MAX: Setting = Setting {
    name: "api_max",
    label: "API nodes, at most",
    unit: "instances",
    range: 1..=256,
    help: "Maximum number of API nodes",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_named() {
        for (setting, value, expected) in [
            (&THREADS, 0, "threads must be from 1 to 256, not 0"),
            (&CHANNELS, 65, "channels must be from 1 to 64, not 65"),
            (
                &LINGER_MS,
                10_001,
                "linger_ms must be from 0 to 10000, not 10001",
            ),
        ] {
            assert_eq!(setting.check(value).unwrap_err().to_string(), expected);
        }
        assert_eq!(THREADS.check(256), Ok(()));
        assert_eq!(Setting::named("batch"), Some(&BATCH));
        assert_eq!(Setting::named("Batch"), None);
    }
}
