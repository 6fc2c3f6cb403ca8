//! Statistics of skiers and resorts, read from the store.

use std::cmp::Reverse;

use skilift_core::ride::{ResortDay, ResortId, Season, SkierId};
use skilift_core::store::StoreError;
use skilift_core::store::counters::DayCounters;
use skilift_core::store::leaders::LeadersError;

use crate::console::Console;
use crate::view::stats::{
    DayList, DayRow, HourRow, HourStats, LiftRow, LiftStats, ResortList, ResortRow, ResortStats,
    SeasonList, SeasonRow, SkierDay, SkierStats, TopRow, TopStats,
};

/// Days per read from the store.
const DAYS_AT_ONCE: usize = 1000;

/// All days of a skier.
pub(crate) async fn skier(console: &Console, skier: SkierId) -> Result<SkierStats, StoreError> {
    let (reader, catalogue) = (&console.sources.reader, &console.sources.catalogue);
    let on = reader.days_of_skier(skier, &|_| true).await?;
    let mut days = Vec::with_capacity(on.len());
    for some in on.chunks(DAYS_AT_ONCE) {
        let rides = reader.skier_on_days(skier, some).await?;
        // An index entry without a ledger entry is not a ride.
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
        oldest_ride_age_ms: console.behind_ms(),
    })
}

/// All resorts with rides.
pub(crate) async fn resorts(console: &Console) -> Result<ResortList, StoreError> {
    let (reader, catalogue) = (&console.sources.reader, &console.sources.catalogue);
    let mut resorts = Vec::new();
    for resort in reader.resorts().await? {
        let seasons = reader.seasons(resort).await?;
        resorts.push(ResortRow {
            resort: resort.get().into(),
            resort_name: catalogue.name(resort),
            seasons: seasons.len() as u64,
            latest_season: seasons.last().map(ToString::to_string),
        });
    }
    Ok(ResortList { resorts })
}

/// The seasons of a resort, oldest first.
pub(crate) async fn seasons(console: &Console, resort: ResortId) -> Result<SeasonList, StoreError> {
    let reader = &console.sources.reader;
    let mut seasons = Vec::new();
    for season in reader.seasons(resort).await? {
        let days = reader.days(resort, season).await?;
        seasons.push(SeasonRow {
            season: season.to_string(),
            days: days.len() as u64,
            first_day: days.first().map(|day| day.get().into()),
            last_day: days.last().map(|day| day.get().into()),
        });
    }
    Ok(SeasonList { seasons })
}

/// The days of a resort's season that have rides, in order.
pub(crate) async fn days(
    console: &Console,
    resort: ResortId,
    season: Season,
) -> Result<DayList, StoreError> {
    let reader = &console.sources.reader;
    let mut days = Vec::new();
    for day in reader.days(resort, season).await? {
        let on = ResortDay {
            resort,
            season,
            day,
        };
        let (skiers, counters) = tokio::try_join!(reader.skiers_on(on), reader.counters(on))?;
        days.push(DayRow {
            day: day.get().into(),
            skiers,
            rides: counters.rides.into(),
        });
    }
    Ok(DayList { days })
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
        oldest_ride_age_ms: console.behind_ms(),
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
        // The catalogue lists lifts only by number.
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

/// A day's ranking.
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
                rank: place,
                skier: leader.skier.get().into(),
                rides: leader.rides as u64,
                vertical_m: leader.vertical_m,
            })
            .collect(),
    })
}
