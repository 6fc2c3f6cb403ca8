//! Storing batches against a model, in both stores: any interleaving of copies, redeliveries and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use skilift_core::engine::{Embedded, Engine, Pipeline};
use skilift_core::packed::{Boarding, MAX_RIDES_PER_SKIER_DAY};
use skilift_core::reconciliation::Settlement;
use skilift_core::ride::{ResortDay, Ride, SkierId};
use skilift_core::service_url::ServiceUrl;
use skilift_core::store::batch::Batch;
use skilift_core::store::counters::{DayCounters, hour_of};
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_core::store::redis::writer::ToIndex;
use skilift_core::store::{Applied, Reader};
use skilift_servers::{RedisOptions, RedisServer};

use crate::engines::{Folder, Ground};
use crate::shared::{fresh_stack, ride};

/// A store of its own.
pub(crate) trait TestStore: Sized {
    /// What several of them stand on.
    type Server;

    async fn start() -> Self::Server;

    fn on(server: &Self::Server) -> Self;

    async fn apply(&self, rides: &[Ride]) -> Applied;

    async fn settle(&self, settlements: &[Settlement]);

    fn reader(&self) -> Arc<dyn Reader>;

    /// Makes the store forget what it may forget.
    async fn forget(&self) {}
}

pub(crate) struct InRedis {
    url: String,
    store: Store,
}

impl TestStore for InRedis {
    type Server = RedisServer;

    async fn start() -> RedisServer {
        RedisServer::start(RedisOptions::default()).await.unwrap()
    }

    fn on(server: &RedisServer) -> Self {
        let url = ServiceUrl::redis(&server.url()).unwrap();
        Self {
            url: server.url(),
            store: Store::new(url, &fresh_stack("apply"), 4, StoreDurability::Checked).unwrap(),
        }
    }

    async fn apply(&self, rides: &[Ride]) -> Applied {
        let mut writer = self.store.writer().await.unwrap();
        writer.apply(&Batch::new(rides.to_vec())).await.unwrap()
    }

    async fn settle(&self, settlements: &[Settlement]) {
        let mut writer = self.store.writer().await.unwrap();
        let settled = writer.settle(&ToIndex::default(), settlements).await;
        settled.unwrap();
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.store.reader().unwrap())
    }

    async fn forget(&self) {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut flush = redis::cmd("SCRIPT");
        let flushed = flush.arg("FLUSH").exec_async(&mut connection).await;
        flushed.unwrap();
    }
}

pub(crate) struct InFolder {
    folder: Folder,
    engine: Embedded,
}

impl TestStore for InFolder {
    type Server = ();

    async fn start() {}

    fn on((): &()) -> Self {
        let folder = Folder::new();
        Self {
            engine: folder.engine(),
            folder,
        }
    }

    async fn apply(&self, rides: &[Ride]) -> Applied {
        let mut pipeline = self.engine.open(1).await.unwrap();
        let applied = pipeline.apply(&Batch::new(rides.to_vec())).await.unwrap();
        // No message: the acknowledgement writes what was applied.
        pipeline.ack_up_to(0).await.unwrap();
        applied
    }

    async fn settle(&self, settlements: &[Settlement]) {
        let mut pipeline = self.engine.open(1).await.unwrap();
        pipeline.settle(settlements).await.unwrap();
        pipeline.ack_up_to(0).await.unwrap();
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.folder.reader()
    }
}

/// Writes each of these functions, which are generic over the store, as a test of each store.
macro_rules! on_both_stores {
    ($($test:ident)+) => {
        mod in_redis {
            $(#[tokio::test] async fn $test() { super::$test::<super::InRedis>().await; })+

            #[test]
            fn any_interleaving_stores_every_ride_once() {
                super::any_interleaving_stores_every_ride_once::<super::InRedis>();
            }
        }
        mod in_a_data_folder {
            $(#[tokio::test] async fn $test() { super::$test::<super::InFolder>().await; })+

            #[test]
            fn any_interleaving_stores_every_ride_once() {
                super::any_interleaving_stores_every_ride_once::<super::InFolder>();
            }
        }
    };
}

on_both_stores! {
    two_writers_at_once_store_every_ride_once
    a_full_skier_day_refuses_what_comes_on_top_and_keeps_the_rest
    a_day_of_many_skiers_is_counted_once_though_it_comes_in_parts
}

/// What happens to one batch.
#[derive(Debug, Clone)]
struct Step {
    rides: Vec<(u64, u64, u64, u64, u64)>,
    /// How often the worker dies while it applies the batch, and after how many turns each time.
    deaths: Vec<u8>,
    /// Whether the store forgets what it may first.
    forget: bool,
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
    let step = step.prop_map(|(rides, deaths, forget)| Step {
        rides,
        deaths,
        forget,
    });
    prop::collection::vec(step, 1..8)
}

/// Applies a batch and dies after some turns of the loop: what was sent is done all the same, what was not is not.
async fn apply_and_die(store: &impl TestStore, rides: &[Ride], turns: u8) {
    let death = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = store.apply(rides) => {}
        () = death => {}
    }
}

/// What the store must hold for these rides: no more, no less, and found by every way.
pub(crate) async fn check_against(reader: &dyn Reader, expected: &BTreeSet<Ride>) {
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
            .scan_day(*day, &mut |skier, rides| drop(scanned.insert(skier, rides)))
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
        let days = reader.days(day.resort, day.season).await.unwrap();
        assert!(days.contains(&day.day) && days.is_sorted(), "{days:?}");
        assert!(reader.resorts().await.unwrap().contains(&day.resort));
    }
    for (skier, days) in days_of {
        assert_eq!(reader.days_of_skier(skier, &|_| true).await.unwrap(), days);
    }
}

fn any_interleaving_stores_every_ride_once<S: TestStore>() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(S::start());
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let store = S::on(&server);
            let mut expected = BTreeSet::new();
            let mut new = 0;
            let mut died = false;
            for step in steps {
                if step.forget {
                    store.forget().await;
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
                let applied = store.apply(&rides).await;
                assert_eq!(applied.new + applied.duplicates, rides.len() as u64);
                assert!(applied.refused.is_empty());
                new += applied.new;
                expected.extend(rides);
            }
            if !died {
                assert_eq!(new, expected.len() as u64);
            }
            check_against(&*store.reader(), &expected).await;
            let applied = store.reader().reconciliation().await.unwrap().applied;
            assert_eq!(applied, expected.len() as u64);
        });
        Ok(())
    });
    outcome.unwrap();
}

async fn two_writers_at_once_store_every_ride_once<S: TestStore>() {
    let server = S::start().await;
    let store = S::on(&server);
    let rides: Vec<Ride> = (0..3000)
        .map(|n| ride(1 + n % 2, 1, 1 + n % 700, 1 + n % 900, 1 + n % 40))
        .collect();
    let (left, right) = tokio::join!(store.apply(&rides[..2000]), store.apply(&rides[1000..]));
    let expected: BTreeSet<Ride> = rides.iter().copied().collect();
    assert_eq!(left.new + right.new, expected.len() as u64);
    assert_eq!(
        left.new + left.duplicates + right.new + right.duplicates,
        4000
    );
    check_against(&*store.reader(), &expected).await;
}

async fn a_full_skier_day_refuses_what_comes_on_top_and_keeps_the_rest<S: TestStore>() {
    let server = S::start().await;
    let store = S::on(&server);
    let day: Vec<Ride> = (1..=MAX_RIDES_PER_SKIER_DAY as u64)
        .map(|minute| ride(1, 1, 7, minute, 1))
        .collect();
    assert_eq!(store.apply(&day[..1439]).await.new, 1439);
    let more = [
        ride(1, 1, 7, 1, 2),
        ride(1, 1, 7, 2, 2),
        ride(1, 1, 7, 5, 1),
        ride(1, 1, 8, 1, 1),
    ];
    let applied = store.apply(&more).await;
    assert_eq!((applied.new, applied.duplicates), (2, 1));
    let [(refused, reason)] = &applied.refused[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(*refused, more[1]);
    assert!(reason.contains("1440 rides"), "{reason}");
}

async fn a_day_of_many_skiers_is_counted_once_though_it_comes_in_parts<S: TestStore>() {
    let server = S::start().await;
    let store = S::on(&server);
    let rides: Vec<Ride> = (1..=2500).map(|skier| ride(1, 1, skier, 30, 2)).collect();
    assert_eq!(store.apply(&rides).await.new, 2500);
    assert_eq!(store.apply(&rides[..1500]).await.duplicates, 1500);
    let counters = store
        .reader()
        .counters(rides[0].resort_day())
        .await
        .unwrap();
    assert_eq!((counters.rides, counters.duplicates), (2500, 1500));
    check_against(&*store.reader(), &rides.into_iter().collect()).await;
}
