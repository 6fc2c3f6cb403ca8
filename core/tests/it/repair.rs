//! A day whose counters and indexes were damaged is mended from its ledger, while rides are stored as ever.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use skilift_core::embedded::Database;
use skilift_core::engine::{Embedded, Engine, Pipeline};
use skilift_core::queue::embedded::EmbeddedQueue;
use skilift_core::ride::{ResortDay, Ride};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::batch::Batch;
use skilift_core::store::counters::DayCounters;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_core::store::{Reader, StoreError};
use skilift_servers::shared_redis_url;

use crate::apply::check_against;
use crate::shared::{fresh_stack, ride};

/// Rides of many skiers on one day, and a few of another.
fn rides(first_skier: u64, skiers: u64) -> Vec<Ride> {
    (first_skier..first_skier + skiers)
        .flat_map(|skier| {
            let of_day = (0..3).map(move |n| {
                ride(
                    1,
                    1,
                    skier,
                    1 + (skier * 7 + n * 400) % 1440,
                    1 + skier % 40,
                )
            });
            of_day.chain((skier % 50 == 0).then(|| ride(1, 2, skier, 9, 1)))
        })
        .collect()
}

fn day() -> ResortDay {
    ride(1, 1, 1, 1, 1).resort_day()
}

struct InRedis {
    stack: StackName,
    store: Store,
    connection: redis::aio::MultiplexedConnection,
}

impl InRedis {
    async fn new() -> Self {
        let (url, stack) = (shared_redis_url(), fresh_stack("repair"));
        let client = redis::Client::open(url.as_str()).unwrap();
        Self {
            store: Store::new(
                ServiceUrl::redis(&url).unwrap(),
                &stack,
                4,
                StoreDurability::Lossy,
            )
            .unwrap(),
            connection: client.get_multiplexed_async_connection().await.unwrap(),
            stack,
        }
    }

    async fn apply(&self, rides: &[Ride]) {
        let mut writer = self.store.writer().await.unwrap();
        writer.apply(&Batch::new(rides.to_vec())).await.unwrap();
    }

    async fn run(&self, command: &[&str]) {
        let mut call = redis::cmd(command[0]);
        call.arg(&command[1..]);
        let run = call.exec_async(&mut self.connection.clone()).await;
        run.unwrap();
    }

    async fn damage(&self) {
        let (stack, day) = (&self.stack, day());
        let counts = format!("{{{stack}}}:counts:{day}");
        // A lift that nobody took, the day's rides, and what else stands there cut off; the duplicates stay.
        self.run(&["SETRANGE", &counts, "0", "\x01\x01\x01\x01"])
            .await;
        self.run(&["SETRANGE", &counts, "3000", "\0\0\0\x09"]).await;
        self.run(&["DEL", &format!("{{{stack}}}:skier:17")]).await;
        self.run(&[
            "SREM",
            &format!("{{{stack}}}:skier:50"),
            &day.to_index().to_string(),
        ])
        .await;
        self.run(&["DEL", &format!("{{{stack}}}:resorts")]).await;
        self.run(&["SREM", &format!("{{{stack}}}:days:1:2025"), "1"])
            .await;
        self.run(&["DEL", &format!("{{{stack}}}:seasons:1")]).await;
    }
}

fn open(folder: &Path) -> (Arc<Database>, Embedded) {
    let database = Arc::new(Database::open(folder).unwrap());
    let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
    let engine = Embedded::new(Arc::clone(&database), queue);
    (database, engine)
}

async fn store_in_folder(engine: &Embedded, rides: &[Ride]) {
    let mut pipeline = engine.open(1).await.unwrap();
    pipeline.apply(&Batch::new(rides.to_vec())).await.unwrap();
    pipeline.ack_up_to(0).await.unwrap();
}

/// Damages a folder that nobody has open.
fn damage_folder(folder: &Path) {
    let database = fjall::Database::builder(folder.join("rides"))
        .journal_compression(fjall::CompressionType::None)
        .open()
        .unwrap();
    let table = |name| {
        database
            .keyspace(name, fjall::KeyspaceCreateOptions::default)
            .unwrap()
    };
    let day = &day().to_index().to_be_bytes()[3..];
    let key = [b"d", day].concat();
    let mut counters = table("days").get(&key).unwrap().unwrap().to_vec();
    // Skiers, rides; and a lift that nobody took.
    counters[..8].copy_from_slice(&[1; 8]);
    counters.resize(3008, 9);
    table("days").insert(key, counters).unwrap();
    table("days")
        .remove([b"s".as_slice(), &[0, 1], &2025_u16.to_be_bytes()].concat())
        .unwrap();
    for skier in [17_u32, 50] {
        table("skiers")
            .remove([&skier.to_be_bytes(), day].concat())
            .unwrap();
    }
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

/// What is damaged, repaired, and right again.
async fn check_repair(reader: &dyn Reader, expected: &[Ride], duplicates: u32) {
    let broken = reader.counters(day()).await.unwrap();
    assert_eq!(broken.rides, 0x0101_0101, "it is damaged indeed");
    let of_17 = reader
        .days_of_skier(ride(1, 1, 17, 1, 1).skier, &|_| true)
        .await
        .unwrap();
    assert!(of_17.is_empty(), "{of_17:?}");
    let repaired = reader.repair_day(day()).await.unwrap();
    assert_eq!(repaired.before, broken);
    assert_eq!(
        (repaired.after.rides, repaired.after.duplicates),
        (1500, duplicates)
    );
    assert_eq!(repaired.skiers, 500);
    check_against(reader, &expected.iter().copied().collect()).await;
    let again = reader.repair_day(day()).await.unwrap();
    assert_eq!((&again.before, again.skiers), (&repaired.after, 500));
    assert_eq!(again.before, again.after);
    // Of a day without rides there is nothing to say, and nothing is made.
    let nowhere = ride(9, 9, 9, 9, 9).resort_day();
    let nothing = reader.repair_day(nowhere).await.unwrap();
    assert_eq!((nothing.after, nothing.skiers), (DayCounters::default(), 0));
    assert_eq!(reader.resorts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_damaged_day_is_mended_in_redis() {
    let redis = InRedis::new().await;
    let rides = rides(1, 500);
    redis.apply(&rides).await;
    redis.apply(&rides[..40]).await;
    let before = redis.store.reader().unwrap().counters(day()).await.unwrap();
    redis.damage().await;
    check_repair(&redis.store.reader().unwrap(), &rides, before.duplicates).await;
}

#[tokio::test]
async fn a_damaged_day_is_mended_in_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let rides = rides(1, 500);
    let (database, engine) = open(folder.path());
    store_in_folder(&engine, &rides).await;
    store_in_folder(&engine, &rides[..40]).await;
    let before = EmbeddedReader::new(Arc::clone(&database))
        .counters(day())
        .await
        .unwrap();
    drop((database, engine));
    damage_folder(folder.path());
    let (database, _engine) = open(folder.path());
    check_repair(&EmbeddedReader::new(database), &rides, before.duplicates).await;
}

#[tokio::test]
async fn rides_that_are_stored_meanwhile_are_counted_once_in_redis() {
    let redis = InRedis::new().await;
    redis.apply(&rides(1, 500)).await;
    redis.damage().await;
    let reader = redis.store.reader().unwrap();
    let storing = async {
        for part in 0..40 {
            redis.apply(&rides(501 + part * 50, 50)).await;
        }
    };
    let repairing = async {
        for _ in 0..20 {
            reader.repair_day(day()).await.unwrap();
        }
    };
    tokio::join!(storing, repairing);
    check_against(&reader, &rides(1, 2500).into_iter().collect()).await;
}

#[tokio::test]
async fn rides_that_are_stored_meanwhile_are_counted_once_in_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (database, engine) = open(folder.path());
    let reader = EmbeddedReader::new(database);
    let storing = async {
        // One pipeline that stays open, as a worker's does.
        let mut pipeline = engine.open(1).await.unwrap();
        for part in 0..50 {
            let rides = rides(1 + part * 50, 50);
            pipeline.apply(&Batch::new(rides)).await.unwrap();
            tokio::task::yield_now().await;
            pipeline.ack_up_to(0).await.unwrap();
        }
    };
    let repairing = async {
        for _ in 0..20 {
            reader.repair_day(day()).await.unwrap();
        }
    };
    tokio::join!(storing, repairing);
    check_against(&reader, &rides(1, 2500).into_iter().collect()).await;
}

#[tokio::test]
async fn a_ledger_that_holds_no_rides_is_said_and_left_alone() {
    let redis = InRedis::new().await;
    let stored: BTreeSet<Ride> = rides(1, 10).into_iter().collect();
    redis
        .apply(&stored.iter().copied().collect::<Vec<_>>())
        .await;
    let reader = redis.store.reader().unwrap();
    let before = reader.counters(day()).await.unwrap();
    let ledger = format!("{{{}}}:rides:{}", redis.stack, day());
    redis.run(&["HSET", &ledger, "99", "\x7f\x7f\x7f"]).await;
    let error = reader.repair_day(day()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert_eq!(reader.counters(day()).await.unwrap(), before);
}
