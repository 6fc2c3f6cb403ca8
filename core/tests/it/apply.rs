//! The apply script against a model: any interleaving of copies, redeliveries and crashes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use skilift_core::packed::{Boarding, MAX_RIDES_PER_SKIER_DAY};
use skilift_core::ride::{ResortDay, Ride, SkierId};
use skilift_core::service_url::ServiceUrl;
use skilift_core::store::batch::Batch;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::counters::{DayCounters, hour_of};
use skilift_core::store::redis::reader::Reader;
use skilift_core::store::redis::writer::Applied;
use skilift_servers::{RedisOptions, RedisServer};

use crate::shared::{fresh_stack, ride};

/// What happens to one batch.
#[derive(Debug, Clone)]
struct Step {
    rides: Vec<(u64, u64, u64, u64, u64)>,
    /// How often the worker dies while it applies the batch, and after how many turns each time.
    deaths: Vec<u8>,
    /// Whether Redis forgets its scripts first.
    flush_scripts: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = (
        1..3_u64,
        1..3_u64,
        1..6_u64,
        prop_oneof![Just(1_u64), 59..63_u64, Just(1440)],
        1..5_u64,
    );
    let step = (
        prop::collection::vec(one, 0..30),
        prop::collection::vec(0..12_u8, 0..3),
        any::<bool>(),
    );
    let step = step.prop_map(|(rides, deaths, flush_scripts)| Step {
        rides,
        deaths,
        flush_scripts,
    });
    prop::collection::vec(step, 1..8)
}

async fn redis() -> RedisServer {
    RedisServer::start(RedisOptions::default()).await.unwrap()
}

fn store_on(server: &RedisServer) -> Store {
    Store::new(
        ServiceUrl::redis(&server.url()).unwrap(),
        &fresh_stack("apply"),
        4,
        false,
    )
    .unwrap()
}

async fn apply(store: &Store, rides: &[Ride]) -> Applied {
    store
        .writer()
        .await
        .unwrap()
        .apply(&Batch::new(rides.to_vec()))
        .await
        .unwrap()
}

/// Applies a batch and dies after some turns of the loop: what was sent is done by Redis all the same, what was not is not.
async fn apply_and_die(store: &Store, rides: &[Ride], turns: u8) {
    let mut writer = store.writer().await.unwrap();
    let batch = Batch::new(rides.to_vec());
    let death = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = writer.apply(&batch) => {}
        () = death => {}
    }
}

/// What the store must hold for these rides: no more, no less, and found by every way.
async fn check_against(reader: &Reader, expected: &BTreeSet<Ride>) {
    let mut by_day: BTreeMap<ResortDay, BTreeMap<SkierId, Vec<Boarding>>> = BTreeMap::new();
    for ride in expected {
        let boarding = Boarding {
            minute: ride.minute,
            lift: ride.lift,
        };
        by_day
            .entry(ride.resort_day())
            .or_default()
            .entry(ride.skier)
            .or_default()
            .push(boarding);
    }
    let mut days_of: BTreeMap<SkierId, Vec<ResortDay>> = BTreeMap::new();
    for (day, skiers) in &by_day {
        let mut ledger = BTreeMap::new();
        let mut scanned = BTreeMap::new();
        reader
            .scan_day(*day, |skier, rides| drop(scanned.insert(skier, rides)))
            .await
            .unwrap();
        let mut recount = DayCounters::default();
        for (skier, rides) in skiers {
            ledger.insert(
                *skier,
                reader.skier_day(*day, *skier).await.unwrap().unwrap(),
            );
            days_of.entry(*skier).or_default().push(*day);
            for boarding in rides {
                recount.rides += 1;
                recount.hours[hour_of(boarding.minute)] += 1;
                match recount
                    .lifts
                    .iter_mut()
                    .find(|(lift, _)| *lift == boarding.lift)
                {
                    Some((_, rides)) => *rides += 1,
                    None => recount.lifts.push((boarding.lift, 1)),
                }
            }
        }
        recount.lifts.sort_unstable();
        assert_eq!(&ledger, skiers);
        assert_eq!(&scanned, skiers);
        assert_eq!(reader.skiers_on(*day).await.unwrap(), skiers.len() as u64);
        let counters = reader.counters(*day).await.unwrap();
        assert_eq!(
            DayCounters {
                duplicates: 0,
                ..counters
            },
            recount
        );
        assert!(
            reader
                .seasons(day.resort)
                .await
                .unwrap()
                .contains(&day.season)
        );
        assert!(reader.resorts().await.unwrap().contains(&day.resort));
    }
    for (skier, days) in days_of {
        assert_eq!(reader.days_of_skier(skier).await.unwrap(), days);
    }
}

#[test]
fn any_interleaving_of_copies_redeliveries_and_crashes_stores_every_ride_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(redis());
    let client = redis::Client::open(server.url()).unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let store = store_on(&server);
            let mut expected = BTreeSet::new();
            let mut new = 0;
            let mut died = false;
            for step in steps {
                if step.flush_scripts {
                    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
                    redis::cmd("SCRIPT")
                        .arg("FLUSH")
                        .exec_async(&mut connection)
                        .await
                        .unwrap();
                }
                let rides: Vec<Ride> = step
                    .rides
                    .iter()
                    .map(|&(r, d, s, m, l)| ride(r, d, s, m, l))
                    .collect();
                for turns in step.deaths {
                    apply_and_die(&store, &rides, turns).await;
                    died = true;
                }
                let applied = apply(&store, &rides).await;
                assert_eq!(applied.new + applied.duplicates, rides.len() as u64);
                assert!(applied.refused.is_empty());
                new += applied.new;
                expected.extend(rides);
            }
            if !died {
                assert_eq!(new, expected.len() as u64);
            }
            check_against(&store.reader().unwrap(), &expected).await;
        });
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn two_writers_at_once_store_every_ride_once() {
    let server = redis().await;
    let store = store_on(&server);
    let rides: Vec<Ride> = (0..3000)
        .map(|n| ride(1 + n % 2, 1, 1 + n % 700, 1 + n % 900, 1 + n % 40))
        .collect();
    let (left, right) = tokio::join!(apply(&store, &rides[..2000]), apply(&store, &rides[1000..]));
    let expected: BTreeSet<Ride> = rides.iter().copied().collect();
    assert_eq!(left.new + right.new, expected.len() as u64);
    assert_eq!(
        left.new + left.duplicates + right.new + right.duplicates,
        4000
    );
    check_against(&store.reader().unwrap(), &expected).await;
}

#[tokio::test]
async fn a_full_skier_day_refuses_what_comes_on_top_and_keeps_the_rest() {
    let server = redis().await;
    let store = store_on(&server);
    let day: Vec<Ride> = (1..=MAX_RIDES_PER_SKIER_DAY as u64)
        .map(|minute| ride(1, 1, 7, minute, 1))
        .collect();
    assert_eq!(apply(&store, &day[..1439]).await.new, 1439);
    let more = [
        ride(1, 1, 7, 1, 2),
        ride(1, 1, 7, 2, 2),
        ride(1, 1, 7, 5, 1),
        ride(1, 1, 8, 1, 1),
    ];
    let applied = apply(&store, &more).await;
    assert_eq!((applied.new, applied.duplicates), (2, 1));
    let [(refused, reason)] = &applied.refused[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(*refused, more[1]);
    assert!(reason.contains("1440 rides"), "{reason}");
}

#[tokio::test]
async fn a_key_of_another_type_spoils_only_its_own_day() {
    let server = redis().await;
    let stack = fresh_stack("wrongtype");
    let store = Store::new(ServiceUrl::redis(&server.url()).unwrap(), &stack, 1, false).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{stack}:counts:{{1:2025:2}}");
    redis::cmd("SADD")
        .arg(&key)
        .arg(1)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let rides = [
        ride(1, 1, 7, 1, 1),
        ride(1, 2, 7, 1, 1),
        ride(1, 3, 7, 1, 1),
    ];
    let applied = apply(&store, &rides).await;
    assert_eq!(applied.new, 2);
    let [(refused, reason)] = &applied.refused[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(*refused, rides[1]);
    assert!(
        reason.contains(&key) && reason.contains("set instead of a string"),
        "{reason}"
    );
    check_against(
        &store.reader().unwrap(),
        &BTreeSet::from([rides[0], rides[2]]),
    )
    .await;
}

#[tokio::test]
async fn memory_for_a_ride_stays_below_24_bytes() {
    let server = redis().await;
    let store = store_on(&server);
    let reader = store.reader().unwrap();
    let before = reader.memory().await.unwrap();
    let mut writer = store.writer().await.unwrap();
    let mut rides = 0;
    for day in 1..=3 {
        for first in (1..=20_000).step_by(1000) {
            let batch = (first..first + 1000)
                .flat_map(|skier| (0..12).map(move |n| ride(1, day, skier, 10 + n * 30, 1 + n)));
            rides += writer
                .apply(&Batch::new(batch.collect()))
                .await
                .unwrap()
                .new;
        }
    }
    let used = reader.memory().await.unwrap().used_bytes - before.used_bytes;
    assert_eq!((rides, before.limit_bytes), (720_000, None));
    let bytes_per_ride = used as f64 / rides as f64;
    assert!(bytes_per_ride < 24.0, "{bytes_per_ride:.1} bytes a ride");
}
