//! What is known of skiers and resorts, straight from the store.

use std::cmp::Reverse;

use skilift_core::ride::{ResortDay, SkierId};
use skilift_core::store::StoreError;
use skilift_core::store::counters::DayCounters;
use skilift_core::store::leaders::LeadersError;

use crate::console::Console;
use crate::view::stats::{
    HourRow, HourStats, LiftRow, LiftStats, ResortStats, SkierDay, SkierStats, TopRow, TopStats,
};

/// Days that are read from the store at once.
const DAYS_AT_ONCE: usize = 1000;

/// All days of a skier.
pub(crate) async fn skier(console: &Console, skier: SkierId) -> Result<SkierStats, StoreError> {
    let (reader, catalogue) = (&console.sources.reader, &console.sources.catalogue);
    let on = reader.days_of_skier(skier).await?;
    let mut days = Vec::with_capacity(on.len());
    for some in on.chunks(DAYS_AT_ONCE) {
        let rides = reader.skier_on_days(skier, some).await?;
        // An index without its ledger is no ride.
        let found = some
            .iter()
            .zip(rides)
            .filter(|(_, rides)| !rides.is_empty());
        days.extend(found.map(|(on, rides)| {
            let rises = rides
                .iter()
                .map(|ride| u64::from(catalogue.vertical_m(on.resort, ride.lift)));
            SkierDay {
                resort: on.resort.get().into(),
                resort_name: catalogue.name(on.resort),
                season: on.season.to_string(),
                day: on.day.get().into(),
                rides: rides.len() as u64,
                vertical_m: rises.sum(),
            }
        }));
    }
    days.sort_by_key(|day| Reverse((day.season.clone(), day.day, day.resort)));
    Ok(SkierStats {
        skier: skier.get().into(),
        rides: days.iter().map(|day| day.rides).sum(),
        vertical_m: days.iter().map(|day| day.vertical_m).sum(),
        days,
        behind_ms: console.behind_ms(),
    })
}

/// A resort's day.
pub(crate) async fn resort(console: &Console, on: ResortDay) -> Result<ResortStats, StoreError> {
    let (reader, catalogue) = (&console.sources.reader, &console.sources.catalogue);
    let (skiers, counters) = tokio::try_join!(reader.skiers_on(on), reader.counters(on))?;
    Ok(ResortStats {
        resort: on.resort.get().into(),
        resort_name: catalogue.name(on.resort),
        season: on.season.to_string(),
        day: on.day.get().into(),
        skiers,
        rides: counters.rides.into(),
        duplicates: counters.duplicates.into(),
        vertical_m: lift_rows(console, on, &counters)
            .map(|row| row.rides * row.vertical_m)
            .sum(),
        behind_ms: console.behind_ms(),
    })
}

/// A day's lifts.
pub(crate) async fn lifts(console: &Console, on: ResortDay) -> Result<LiftStats, StoreError> {
    let counters = console.sources.reader.counters(on).await?;
    Ok(LiftStats {
        lifts: lift_rows(console, on, &counters).collect(),
    })
}

fn lift_rows(
    console: &Console,
    on: ResortDay,
    counters: &DayCounters,
) -> impl Iterator<Item = LiftRow> {
    let catalogue = &console.sources.catalogue;
    counters.lifts.iter().map(move |&(lift, rides)| LiftRow {
        lift: lift.get().into(),
        // The catalogue lists lifts by number alone.
        name: None,
        rides: rides.into(),
        vertical_m: catalogue.vertical_m(on.resort, lift).into(),
    })
}

/// A day's hours.
pub(crate) async fn hours(console: &Console, on: ResortDay) -> Result<HourStats, StoreError> {
    let counters = console.sources.reader.counters(on).await?;
    let row = |(hour, rides): (usize, &u32)| HourRow {
        hour: hour as u64,
        rides: (*rides).into(),
    };
    Ok(HourStats {
        hours: counters.hours.iter().enumerate().map(row).collect(),
    })
}

/// A day's leaders.
pub(crate) async fn top(
    console: &Console,
    on: ResortDay,
    limit: usize,
) -> Result<TopStats, LeadersError> {
    let (reader, catalogue) = (&*console.sources.reader, &console.sources.catalogue);
    let leaders = console.leaders.of(reader, catalogue, on).await?;
    let rows = leaders.iter().take(limit).zip(1..);
    Ok(TopStats {
        skiers: rows
            .map(|(leader, place)| TopRow {
                place,
                skier: leader.skier.get().into(),
                rides: leader.rides as u64,
                vertical_m: leader.vertical_m,
            })
            .collect(),
    })
}
