//! Moves days to the archive and back, while rides of all days arrive.
//!
//! The state of a day is the field 0 of its ledger, so that one command reads it together with a skier's rides:
//!
//! - none: the day is open.
//! - `closed`: the day is about to be archived. The script that stores rides refuses new ones, so its ledger is final.
//! - an [`ArchivedDay`]: the rides are in files, and the ledger has nothing else.
//!
//! Counters, and the sets of days, seasons and resorts, stay in Redis: they are small, and most queries need nothing else. The
//! index of a skier's days loses the day, which the index of the files replaces.

use std::sync::LazyLock;

use redis::{Pipeline, Script};

use super::failed;
use super::reader::RedisReader;
use crate::archive::{Archive, ArchivedDay, DayRides};
use crate::clock::epoch_ms;
use crate::lifecycle::chain;
use crate::packed::Boarding;
use crate::ride::{Day, ResortDay, ResortId, Season, SkierId};
use crate::store::counters::{CounterBytes, DayCounters};
use crate::store::reader::{ArchivedFiles, WantedDays};
use crate::store::{Reader, StoreError};

static STEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("archive.lua")));

/// The field of the ledger that has the state of the day: no skier has this number.
pub(super) const STATE_FIELD: &str = "0";
/// Skiers per write.
const SKIERS_AT_ONCE: usize = 1000;
/// Days per query of their states.
const DAYS_AT_ONCE: usize = 1000;

/// The state of a day.
#[derive(Debug)]
pub(super) enum DayState {
    /// Rides are stored.
    Open,
    /// It has no rides.
    Empty,
    /// New rides are refused.
    Closed,
    /// The rides are in files.
    Archived(ArchivedDay),
}

impl DayState {
    /// Reads the field of the ledger with this key.
    pub(super) fn parse(key: &str, field: Option<&[u8]>) -> Result<Self, StoreError> {
        match field {
            None | Some(b"open") => Ok(Self::Open),
            Some(b"empty") => Ok(Self::Empty),
            Some(b"closed") => Ok(Self::Closed),
            Some(json) => {
                let corrupt = |_| StoreError::CorruptField {
                    key: key.to_owned(),
                    field: STATE_FIELD.to_owned(),
                };
                serde_json::from_slice(json)
                    .map(Self::Archived)
                    .map_err(corrupt)
            }
        }
    }
}

/// Archives a day: closes it, writes and checks its files, removes its rides from Redis, and then their index entries, which
/// readers find in the files by then.
pub(super) async fn archive_day(
    reader: &RedisReader,
    day: ResortDay,
) -> Result<ArchivedDay, StoreError> {
    let archive = archive_of(reader, day)?;
    match step(reader, day, Step::Close).await? {
        DayState::Closed => {}
        DayState::Archived(archived) => {
            let rides = archive.read_all(day, &archived).await?;
            step(reader, day, Step::Archive(&archived)).await?;
            unindex(reader, day, rides.keys()).await?;
            return Ok(archived);
        }
        DayState::Open | DayState::Empty => {
            let why = "has no rides";
            return Err(StoreError::WrongState { day, why });
        }
    }
    let moved = move_to_files(reader, archive, day).await;
    if moved.is_err() {
        // Also if the answer of the last step was lost: an archived day stays archived.
        if let Err(error) = step(reader, day, Step::Reopen).await {
            let day = day.in_words();
            tracing::warn!("{day} stays closed until it is archived again: {error}");
        }
    }
    let (archived, rides) = moved?;
    unindex(reader, day, rides.keys()).await?;
    Ok(archived)
}

async fn move_to_files(
    reader: &RedisReader,
    archive: &Archive,
    day: ResortDay,
) -> Result<(ArchivedDay, DayRides), StoreError> {
    let mut rides = DayRides::new();
    reader
        .scan_ledger(day, &mut |skier, boardings| {
            rides.insert(skier, boardings);
        })
        .await?;
    if !counts_match(&reader.counters(day).await?, &rides) {
        let why = "has counters that differ from its rides: run `skictl repair` first";
        return Err(StoreError::WrongState { day, why });
    }
    let archived = archive.write(day, rides.clone(), epoch_ms()).await?;
    match step(reader, day, Step::Archive(&archived)).await? {
        DayState::Archived(found) if found == archived => Ok((archived, rides)),
        _ => {
            let why = "changed while it was archived: archive it again";
            Err(StoreError::WrongState { day, why })
        }
    }
}

/// Restores a day: writes its rides and index entries, which readers use when the day is open again, and opens it.
pub(super) async fn restore_day(
    reader: &RedisReader,
    day: ResortDay,
) -> Result<ArchivedDay, StoreError> {
    let archive = archive_of(reader, day)?;
    let DayState::Archived(archived) = reader.state_of(day).await? else {
        let why = "is not archived";
        return Err(StoreError::WrongState { day, why });
    };
    let rides = archive.read_all(day, &archived).await?;
    if let Err(error) = write_ledger(reader, day, &rides).await {
        // Most likely there is no memory for it; an archived day needs none.
        let removed = step(reader, day, Step::Archive(&archived)).await;
        if let Err(error) = removed {
            tracing::warn!("parts of {} are left in Redis: {error}", day.in_words());
        }
        return Err(error);
    }
    match step(reader, day, Step::Open(&archived)).await? {
        DayState::Open => {}
        _ => {
            let why = "is not complete in Redis: restore it again";
            return Err(StoreError::WrongState { day, why });
        }
    }
    if !counts_match(&reader.counters(day).await?, &rides) {
        reader.repair_day(day).await?;
    }
    Ok(archived)
}

async fn write_ledger(
    reader: &RedisReader,
    day: ResortDay,
    rides: &DayRides,
) -> Result<(), StoreError> {
    let all: Vec<(&SkierId, &Vec<Boarding>)> = rides.iter().collect();
    for some in all.chunks(SKIERS_AT_ONCE) {
        let mut ledger = redis::cmd("HSET");
        ledger.arg(reader.keys.rides(day));
        let mut pipeline = Pipeline::with_capacity(some.len() + 1);
        for (skier, boardings) in some {
            let packed: Vec<u8> = boardings.iter().flat_map(|one| one.pack()).collect();
            ledger.arg(skier.get()).arg(packed);
            let index = reader.keys.skier(**skier);
            pipeline.cmd("SADD").arg(index).arg(day.to_index()).ignore();
        }
        pipeline.add_command(ledger).ignore();
        let written: redis::RedisResult<()> =
            pipeline.query_async(&mut reader.repairs.clone()).await;
        written.map_err(failed("restore a day"))?;
    }
    Ok(())
}

/// The wanted days of these lists of archived days, in order.
pub(super) fn listed_days(lists: &[(String, String)], wanted: WantedDays<'_>) -> Vec<ResortDay> {
    let of_season = |(season, days): &(String, String)| -> Option<Vec<ResortDay>> {
        let (resort, season) = season.split_once(':')?;
        let (resort, season): (ResortId, Season) = (resort.parse().ok()?, season.parse().ok()?);
        let of_day = |day: Day| ResortDay {
            resort,
            season,
            day,
        };
        let days = days.split(',').filter_map(|day| day.parse().ok());
        Some(days.map(of_day).collect())
    };
    let mut days: Vec<ResortDay> = lists.iter().filter_map(of_season).flatten().collect();
    days.retain(wanted);
    days.sort_unstable();
    days
}

/// The wanted archived days and the state of their files.
pub(super) async fn archived_days(
    reader: &RedisReader,
    wanted: WantedDays<'_>,
) -> Result<Vec<ArchivedFiles>, StoreError> {
    let days = listed_days(&reader.archived_lists().await?, wanted);
    let mut found = Vec::with_capacity(days.len());
    for some in days.chunks(DAYS_AT_ONCE) {
        let states = reader.states_of(some).await?;
        found.extend(
            some.iter()
                .zip(states)
                .filter_map(|(day, state)| match state {
                    DayState::Archived(archived) => Some((*day, archived)),
                    // It was restored meanwhile.
                    _ => None,
                }),
        );
    }
    let faults = match &reader.archive {
        Some(archive) => {
            let faults = archive.faults(found.clone()).await.into_iter();
            faults
                .map(|fault| fault.map(|error| chain(&error)))
                .collect()
        }
        None => vec![Some("this process has no --archive".to_owned()); found.len()],
    };
    let files = |((day, archived), fault)| ArchivedFiles {
        day,
        archived,
        fault,
    };
    Ok(found.into_iter().zip(faults).map(files).collect())
}

/// A step of a move.
enum Step<'a> {
    Close,
    Reopen,
    Archive(&'a ArchivedDay),
    Open(&'a ArchivedDay),
}

async fn step(
    reader: &RedisReader,
    day: ResortDay,
    step: Step<'_>,
) -> Result<DayState, StoreError> {
    let (name, archived) = match step {
        Step::Close => ("close", None),
        Step::Reopen => ("reopen", None),
        Step::Archive(archived) => ("archive", Some(archived)),
        Step::Open(archived) => ("open", Some(archived)),
    };
    let mut call = STEP.key(reader.keys.rides(day));
    call.key(reader.keys.archived());
    call.arg(name)
        .arg(format!("{}:{}", day.resort, day.season))
        .arg(day.day.get());
    if let Some(archived) = archived {
        let json = serde_json::to_string(archived).expect("what was archived is JSON");
        call.arg(archived.skiers).arg(json);
    }
    let answered = call.invoke_async(&mut reader.repairs.clone()).await;
    let state: Vec<u8> = answered.map_err(failed("move a day"))?;
    DayState::parse(&reader.keys.rides(day), Some(&state))
}

fn archive_of(reader: &RedisReader, day: ResortDay) -> Result<&Archive, StoreError> {
    reader.archive.as_ref().ok_or(StoreError::NoArchive { day })
}

/// Removes a day from the index of skiers.
async fn unindex(
    reader: &RedisReader,
    day: ResortDay,
    skiers: impl Iterator<Item = &SkierId>,
) -> Result<(), StoreError> {
    let skiers: Vec<&SkierId> = skiers.collect();
    for some in skiers.chunks(SKIERS_AT_ONCE) {
        let mut pipeline = Pipeline::with_capacity(some.len());
        for skier in some {
            let index = reader.keys.skier(**skier);
            pipeline.cmd("SREM").arg(index).arg(day.to_index()).ignore();
        }
        let removed: redis::RedisResult<()> =
            pipeline.query_async(&mut reader.repairs.clone()).await;
        removed.map_err(failed("remove index entries"))?;
    }
    Ok(())
}

/// Whether the counters are a recount of the rides. Duplicates cannot be recounted.
fn counts_match(counters: &DayCounters, rides: &DayRides) -> bool {
    let mut counted = CounterBytes::default();
    for boarding in rides.values().flatten() {
        counted.count_ride(*boarding);
    }
    let recount = DayCounters::parse(counted.as_bytes());
    recount
        == DayCounters {
            duplicates: 0,
            ..counters.clone()
        }
}
