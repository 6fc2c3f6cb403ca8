//! Changes of settings, each a new version of its section.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{
    ApiSettings, Document, FleetBounds, Ingest, Versioned, WorkerSettings,
};

use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::desired::settings_of;
use crate::error::Error;
use crate::settings::{name, one_lane, values};
use crate::state::{Settings, Version};
use crate::view::change::Change;
use crate::view::settings::Section;

/// Computes a change of a section.
pub(super) fn prepare(
    console: &Arc<Console>,
    change: &Change,
    by: &str,
    plan: &str,
) -> Result<PlannedChange, Error> {
    let document = console.desired.document();
    let (section, wanted, if_number) = match *change {
        Change::SetWorker {
            threads,
            prefetch,
            batch,
            linger_ms,
            if_version: if_number,
        } => {
            let now = document.worker.map(|set| set.value);
            let wanted = WorkerSettings {
                threads: requested_or_current(threads, now.map(|now| now.threads), "threads")?,
                prefetch: requested_or_current(prefetch, now.map(|now| now.prefetch), "prefetch")?,
                batch: requested_or_current(batch, now.map(|now| now.batch), "batch")?,
                linger_ms: requested_or_current(
                    linger_ms,
                    now.map(|now| now.linger_ms),
                    "linger_ms",
                )?,
            };
            (Section::Worker, Settings::Worker(wanted), if_number)
        }
        Change::SetApi {
            channels: lanes,
            message_rides,
            max_in_flight,
            if_version: if_number,
        } => {
            let now = document.api.map(|set| set.value);
            let wanted = ApiSettings {
                channels: requested_or_current(lanes, now.map(|now| now.channels), "channels")?,
                message_rides: requested_or_current(
                    message_rides,
                    now.map(|now| now.message_rides),
                    "message_rides",
                )?,
                max_in_flight: requested_or_current(
                    max_in_flight,
                    now.map(|now| now.max_in_flight),
                    "max_in_flight",
                )?,
            };
            (Section::Api, Settings::Api(wanted), if_number)
        }
        Change::SetIngest {
            keys,
            if_version: if_number,
        } => {
            let wanted = if keys { Ingest::Keys } else { Ingest::Open };
            (Section::Ingest, Settings::Ingest(wanted), if_number)
        }
        Change::SetFleet {
            worker_min,
            worker_max,
            api_min,
            api_max,
            if_version: if_number,
        } => {
            let now = document.fleet.map(|set| set.value).unwrap_or_default();
            let wanted = FleetBounds {
                worker_min: worker_min.unwrap_or(now.worker_min),
                worker_max: worker_max.unwrap_or(now.worker_max),
                api_min: api_min.unwrap_or(now.api_min),
                api_max: api_max.unwrap_or(now.api_max),
            };
            (Section::Fleet, Settings::Fleet(wanted), if_number)
        }
        Change::Rollback {
            section,
            version: number,
        } => (section, earlier(console, &document, section, number)?, None),
        _ => {
            return Err(Error::internal("unexpected kind of change for settings"));
        }
    };
    let now = settings_of(&document, section);
    let number = now.map_or(0, |(number, ..)| number);
    if if_number.is_some_and(|wanted| wanted != number) {
        return Err(Error::conflict(format!(
            "version conflict: {} is at version {number}; check `skictl settings show` and retry",
            name(section)
        )));
    }
    prepare_update(console, &document, section, wanted, by, plan)
}

/// The requested value, else the current one.
fn requested_or_current(wanted: Option<u32>, now: Option<u32>, called: &str) -> Result<u32, Error> {
    wanted.or(now).ok_or_else(|| {
        Error::refused(format!(
            "{called} is unknown: no node of this role has sent a heartbeat yet; set all values"
        ))
    })
}

fn check(value: Settings) -> Result<(), Error> {
    let checked = match value {
        Settings::Worker(worker) => worker.check(),
        Settings::Api(api) => api.check(),
        Settings::Fleet(bounds) => bounds.check(),
        Settings::Ingest(_) => Ok(()),
    };
    checked.map_err(|error| Error::invalid(error.to_string()))
}

/// An earlier version of a section: the previous one, or the one with this number.
fn earlier(
    console: &Console,
    document: &Document,
    section: Section,
    number: Option<u64>,
) -> Result<Settings, Error> {
    let now = settings_of(document, section).map_or(0, |(number, ..)| number);
    let found = match number {
        Some(number) => console.state.version(section, number)?,
        None => {
            let before = console.state.versions_before(section, now, 1)?;
            before.into_iter().next().map(|(_, version)| version)
        }
    };
    let version = found.ok_or_else(|| {
        let section = name(section);
        Error::not_found(match number {
            Some(number) => {
                format!(
                    "{section} has no version {number}; see `skictl settings history {section}`"
                )
            }
            None => format!("{section} has no earlier version"),
        })
    })?;
    Ok(version.value)
}

fn prepare_update(
    console: &Arc<Console>,
    document: &Document,
    section: Section,
    wanted: Settings,
    by: &str,
    plan: &str,
) -> Result<PlannedChange, Error> {
    let now = settings_of(document, section);
    let keys = console.state.keys.count()?;
    let mut basis = format!(
        "{} {:?}",
        name(section),
        now.map(|(number, hash, _)| (number, hash))
    );
    if section == Section::Ingest {
        basis += &format!(" keys {}", keys > 0);
    }
    let mut after = document.clone();
    after.serial = after.next_serial();
    let prepared = PlannedChange::new(basis);
    let mut prepared = add(console, prepared, &mut after, section, wanted, by, plan)?;
    if prepared.actions.is_empty() {
        return Ok(PlannedChange::already(prepared.basis));
    }
    prepared.mutation.document = Some(after);
    if let Some(why) = console.desired.unreachable() {
        prepared = prepared.with_effect(format!(
            "nodes cannot be reached now and apply this when they can be: {why}"
        ));
    }
    Ok(match wanted {
        Settings::Ingest(Ingest::Open) => prepared
            .with_effect(
                "ingest is open: any client that reaches the API may post rides without a key",
            )
            .severe(console.config.stack.to_string()),
        Settings::Ingest(Ingest::Keys) if keys == 0 => prepared
            .with_effect("no ingest key exists: all rides are rejected until one is created")
            .severe(console.config.stack.to_string()),
        Settings::Ingest(Ingest::Keys) => {
            let prepared = prepared.with_effect(
                "requests without a key, or with a key for other resorts, are rejected",
            );
            match unkeyed_per_s(console) {
                None => prepared,
                Some(per_s) => prepared
                    .with_effect(format!(
                        "{per_s:.1} requests/s arrive now without a valid key: their rides are rejected"
                    ))
                    .severe(console.config.stack.to_string()),
            }
        }
        Settings::Fleet(_) => prepared
            .with_effect("this starts and stops nothing; later plans must stay within the bounds"),
        Settings::Worker(_) | Settings::Api(_) => prepared,
    })
}

/// Requests with rides that arrive now without a valid key; `None` if there are none.
fn unkeyed_per_s(console: &Console) -> Option<f64> {
    let latest = console.monitor.latest()?;
    let per_s = latest.queue.rates.unkeyed_per_s.value;
    per_s.filter(|per_s| *per_s > 0.0)
}

/// Adds a new version of a section to a plan and its document; does nothing if the section already has this value.
///
/// # Errors
/// If a value is out of range.
pub(super) fn add(
    console: &Arc<Console>,
    mut prepared: PlannedChange,
    after: &mut Document,
    section: Section,
    wanted: Settings,
    by: &str,
    plan: &str,
) -> Result<PlannedChange, Error> {
    check(wanted)?;
    let now = settings_of(after, section);
    if now.is_some_and(|(_, _, value)| value == wanted) {
        return Ok(prepared);
    }
    let before = now.map(|(_, _, value)| values(value)).unwrap_or_default();
    let to = match section {
        Section::Worker => "all workers",
        Section::Api | Section::Ingest => "all API nodes",
        Section::Fleet => "the console",
    };
    for (called, value) in values(wanted) {
        let current = before.get(&called);
        if current != Some(&value) {
            let does = match section {
                Section::Ingest => "set ingest".to_owned(),
                section => format!("set {} {called}", name(section)),
            };
            prepared = prepared.with_action(
                &does,
                to,
                current.map(ToString::to_string),
                Some(value.to_string()),
            );
        }
    }
    if let Some(note) = one_lane(console, Some(wanted)) {
        prepared = prepared.with_effect(note);
    }
    let number = now.map_or(0, |(number, ..)| number) + 1;
    let hash = put_settings(after, wanted, number);
    let version = Version {
        hash,
        value: wanted,
        at_ms: epoch_ms(),
        by: by.to_owned(),
        plan: Some(plan.to_owned()),
    };
    let changes = &mut prepared.mutation.changes;
    console
        .state
        .put_version(changes, section, number, &version);
    Ok(prepared)
}

/// Puts a section's new version into the document, and returns its hash.
fn put_settings(document: &mut Document, value: Settings, number: u64) -> u32 {
    match value {
        Settings::Worker(value) => {
            document
                .worker
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
        Settings::Api(value) => {
            document
                .api
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
        Settings::Fleet(value) => {
            document
                .fleet
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
        Settings::Ingest(value) => {
            document
                .ingest
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
    }
}
