//! Changes of settings, each a new version of its section.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{
    ApiSettings, Document, FleetBounds, Ingest, Versioned, WorkerSettings,
};

use super::prepared::Prepared;
use crate::admin::ApiError;
use crate::console::Console;
use crate::desired::section_of;
use crate::settings::{name, one_lane, values};
use crate::state::{SectionValue, Version};
use crate::view::change::Change;
use crate::view::settings::Section;

/// Works out a change of a section.
pub(super) fn prepare(
    console: &Arc<Console>,
    change: &Change,
    by: &str,
    plan: &str,
) -> Result<Prepared, ApiError> {
    let document = console.desired.document();
    let (section, wanted, if_number) = match *change {
        Change::SetWorker {
            threads,
            prefetch,
            batch,
            linger_ms,
            if_number,
        } => {
            let now = document.worker.map(|set| set.value);
            let wanted = WorkerSettings {
                threads: kept(threads, now.map(|now| now.threads), "threads")?,
                prefetch: kept(prefetch, now.map(|now| now.prefetch), "prefetch")?,
                batch: kept(batch, now.map(|now| now.batch), "batch")?,
                linger_ms: kept(linger_ms, now.map(|now| now.linger_ms), "linger_ms")?,
            };
            (Section::Worker, SectionValue::Worker(wanted), if_number)
        }
        Change::SetApi {
            lanes,
            message_rides,
            max_in_flight,
            if_number,
        } => {
            let now = document.api.map(|set| set.value);
            let wanted = ApiSettings {
                lanes: kept(lanes, now.map(|now| now.lanes), "lanes")?,
                message_rides: kept(
                    message_rides,
                    now.map(|now| now.message_rides),
                    "message_rides",
                )?,
                max_in_flight: kept(
                    max_in_flight,
                    now.map(|now| now.max_in_flight),
                    "max_in_flight",
                )?,
            };
            (Section::Api, SectionValue::Api(wanted), if_number)
        }
        Change::SetIngest { keys, if_number } => {
            let wanted = if keys { Ingest::Keys } else { Ingest::Open };
            (Section::Ingest, SectionValue::Ingest(wanted), if_number)
        }
        Change::SetFleet {
            worker_min,
            worker_max,
            api_min,
            api_max,
            if_number,
        } => {
            let now = document.fleet.map(|set| set.value).unwrap_or_default();
            let wanted = FleetBounds {
                worker_min: worker_min.unwrap_or(now.worker_min),
                worker_max: worker_max.unwrap_or(now.worker_max),
                api_min: api_min.unwrap_or(now.api_min),
                api_max: api_max.unwrap_or(now.api_max),
            };
            (Section::Fleet, SectionValue::Fleet(wanted), if_number)
        }
        Change::Rollback { section, number } => {
            (section, earlier(console, &document, section, number)?, None)
        }
        _ => {
            return Err(ApiError::internal(
                "a change of another kind came to the sections",
            ));
        }
    };
    let now = section_of(&document, section);
    let number = now.map_or(0, |(number, ..)| number);
    if if_number.is_some_and(|wanted| wanted != number) {
        return Err(ApiError::conflict(format!(
            "{} is at number {number}: somebody changed it; look again at `skictl settings show`",
            name(section)
        )));
    }
    to_set(console, &document, section, wanted, by, plan)
}

/// A value that is asked for, else the one that stands.
fn kept(wanted: Option<u32>, now: Option<u32>, called: &str) -> Result<u32, ApiError> {
    wanted.or(now).ok_or_else(|| {
        ApiError::refused(format!(
            "{called} is not known yet: no node of this role was heard; say all values"
        ))
    })
}

fn check(value: SectionValue) -> Result<(), ApiError> {
    let checked = match value {
        SectionValue::Worker(worker) => worker.check(),
        SectionValue::Api(api) => api.check(),
        SectionValue::Fleet(bounds) => bounds.check(),
        SectionValue::Ingest(_) => Ok(()),
    };
    checked.map_err(|error| ApiError::invalid(error.to_string()))
}

/// What a section said, before now or under a number.
fn earlier(
    console: &Console,
    document: &Document,
    section: Section,
    number: Option<u64>,
) -> Result<SectionValue, ApiError> {
    let now = section_of(document, section).map_or(0, |(number, ..)| number);
    let found = match number {
        Some(number) => console.state.version(section, number)?,
        None => {
            let before = console.state.versions_before(section, now, 1)?;
            before.into_iter().next().map(|(_, version)| version)
        }
    };
    let version = found.ok_or_else(|| {
        let section = name(section);
        ApiError::not_found(match number {
            Some(number) => {
                format!("{section} has no number {number}; see `skictl settings history {section}`")
            }
            None => format!("{section} has no version before this one"),
        })
    })?;
    Ok(version.value)
}

fn to_set(
    console: &Arc<Console>,
    document: &Document,
    section: Section,
    wanted: SectionValue,
    by: &str,
    plan: &str,
) -> Result<Prepared, ApiError> {
    let now = section_of(document, section);
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
    let prepared = Prepared::new(basis);
    let mut prepared = add(console, prepared, &mut after, section, wanted, by, plan)?;
    if prepared.actions.is_empty() {
        return Ok(Prepared::already(prepared.basis));
    }
    prepared.effect.document = Some(after);
    if let Some(why) = console.desired.unreachable() {
        prepared = prepared.effect(format!(
            "nodes cannot be told now, and follow when they can: {why}"
        ));
    }
    Ok(match wanted {
        SectionValue::Ingest(Ingest::Open) => prepared
            .effect("everybody who can reach the API may post rides, without a key")
            .severe(console.config.stack.to_string()),
        SectionValue::Ingest(Ingest::Keys) if keys == 0 => prepared
            .effect("there is no key: every gate is refused until one is made")
            .severe(console.config.stack.to_string()),
        SectionValue::Ingest(Ingest::Keys) => {
            prepared.effect("gates that show no key, or one for other resorts, are refused")
        }
        SectionValue::Fleet(_) => prepared
            .effect("nothing is started or stopped by it: plans that come afterwards keep to it"),
        SectionValue::Worker(_) | SectionValue::Api(_) => prepared,
    })
}

/// Adds a new version of a section to a plan and to the document that it makes; nothing where it is so already.
///
/// # Errors
/// When a value is out of its range.
pub(super) fn add(
    console: &Arc<Console>,
    mut prepared: Prepared,
    after: &mut Document,
    section: Section,
    wanted: SectionValue,
    by: &str,
    plan: &str,
) -> Result<Prepared, ApiError> {
    check(wanted)?;
    let now = section_of(after, section);
    if now.is_some_and(|(_, _, value)| value == wanted) {
        return Ok(prepared);
    }
    let before = now.map(|(_, _, value)| values(value)).unwrap_or_default();
    let to = match section {
        Section::Worker => "every worker",
        Section::Api | Section::Ingest => "every API node",
        Section::Fleet => "the console",
    };
    for (called, value) in values(wanted) {
        let stood = before.get(&called);
        if stood != Some(&value) {
            let does = match section {
                Section::Ingest => "set ingest".to_owned(),
                section => format!("set {} {called}", name(section)),
            };
            prepared = prepared.act(
                &does,
                to,
                stood.map(ToString::to_string),
                Some(value.to_string()),
            );
        }
    }
    if let Some(note) = one_lane(console, Some(wanted)) {
        prepared = prepared.effect(note);
    }
    let number = now.map_or(0, |(number, ..)| number) + 1;
    let hash = put_section(after, wanted, number);
    let version = Version {
        hash,
        value: wanted,
        at_ms: epoch_ms(),
        by: by.to_owned(),
        plan: Some(plan.to_owned()),
    };
    let changes = &mut prepared.effect.changes;
    console
        .state
        .put_version(changes, section, number, &version);
    Ok(prepared)
}

/// Puts a section's new version into the document, and returns its hash.
fn put_section(document: &mut Document, value: SectionValue, number: u64) -> u32 {
    match value {
        SectionValue::Worker(value) => {
            document
                .worker
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
        SectionValue::Api(value) => {
            document
                .api
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
        SectionValue::Fleet(value) => {
            document
                .fleet
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
        SectionValue::Ingest(value) => {
            document
                .ingest
                .insert(Versioned::new(number, value))
                .generation
                .hash
        }
    }
}
