//! Days that move to files and back, while rides are stored and read.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use skilift_core::archive::Archive;
use skilift_core::lifecycle::chain;
use skilift_core::ride::{ResortDay, Ride};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::batch::Batch;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_core::store::redis::reader::RedisReader;
use skilift_core::store::{Applied, Reader, StoreError};
use skilift_servers::shared_redis_url;
use tempfile::TempDir;

use crate::apply::check_against;
use crate::shared::{fresh_stack, ride};

struct Setup {
    stack: StackName,
    store: Store,
    directory: TempDir,
    connection: redis::aio::MultiplexedConnection,
}

impl Setup {
    async fn with(rides: &[Ride]) -> Self {
        let (url, stack) = (shared_redis_url(), fresh_stack("archive"));
        let client = redis::Client::open(url.as_str()).unwrap();
        let url = ServiceUrl::redis(&url).unwrap();
        let setup = Self {
            store: Store::new(url, &stack, 4, StoreDurability::Lossy).unwrap(),
            directory: tempfile::tempdir().unwrap(),
            connection: client.get_multiplexed_async_connection().await.unwrap(),
            stack,
        };
        setup.apply(rides).await;
        setup
    }

    fn archive(&self) -> Archive {
        Archive::new(self.directory.path(), &self.stack)
    }

    fn reader(&self) -> RedisReader {
        let reader = self.store.reader().unwrap();
        reader.with_archive(Some(self.archive()))
    }

    async fn apply(&self, rides: &[Ride]) -> Applied {
        let mut writer = self.store.writer().await.unwrap();
        writer.apply(&Batch::new(rides.to_vec())).await.unwrap()
    }

    async fn call<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut call = redis::cmd(command[0]);
        call.arg(&command[1..]);
        call.query_async(&mut self.connection.clone())
            .await
            .unwrap()
    }

    /// Fields of a day's ledger in Redis, its state included.
    async fn fields(&self, day: ResortDay) -> u64 {
        let key = format!("{{{}}}:rides:{day}", self.stack);
        self.call(&["HLEN", &key]).await
    }
}

/// Rides of many skiers on three days at two resorts.
fn rides() -> Vec<Ride> {
    let of_skier = |skier: u64| {
        (0..4).map(move |n| {
            ride(
                1 + n / 3,
                1 + (skier + n) % 3,
                skier,
                1 + (skier * 7 + n * 90) % 1440,
                1 + skier % 40,
            )
        })
    };
    (1..=400).flat_map(of_skier).collect()
}

fn days() -> Vec<ResortDay> {
    let days: BTreeSet<ResortDay> = rides().iter().map(Ride::resort_day).collect();
    days.into_iter().collect()
}

fn day() -> ResortDay {
    ride(1, 1, 1, 1, 1).resort_day()
}

#[tokio::test]
async fn an_archived_day_answers_as_before_and_leaves_redis() {
    let setup = Setup::with(&rides()).await;
    let (reader, expected) = (setup.reader(), rides().into_iter().collect());
    let index = format!("{{{}}}:skier:7", setup.stack);
    let index_size = async || setup.call::<u64>(&["SCARD", &index]).await;
    assert!(index_size().await > 1);
    for (at, day) in days().into_iter().enumerate() {
        let before = setup.fields(day).await;
        let archived = reader.archive_day(day).await.unwrap();
        assert_eq!((archived.skiers, setup.fields(day).await), (before, 1));
        check_against(&reader, &expected).await;
        // Once more: it is checked, and is as it was.
        assert_eq!(reader.archive_day(day).await.unwrap(), archived);
        assert_eq!(reader.archived_days(&|_| true).await.unwrap().len(), at + 1);
    }
    assert_eq!(index_size().await, 0);
    for day in days() {
        reader.restore_day(day).await.unwrap();
        check_against(&reader, &expected).await;
    }
    assert!(reader.archived_days(&|_| true).await.unwrap().is_empty());
    assert!(index_size().await > 1);
    assert_eq!(
        setup
            .call::<u64>(&["EXISTS", &format!("{{{}}}:archived", setup.stack)])
            .await,
        0
    );
}

#[tokio::test]
async fn a_late_ride_is_refused_until_the_day_is_restored() {
    let setup = Setup::with(&rides()).await;
    let reader = setup.reader();
    reader.archive_day(day()).await.unwrap();
    let late = [ride(1, 1, 9_000, 5, 1), ride(1, 2, 9_000, 5, 1)];
    let applied = setup.apply(&late).await;
    assert_eq!((applied.new, applied.refused.len()), (1, 1));
    let (refused, why) = &applied.refused[0];
    assert_eq!(*refused, late[0]);
    assert!(why.contains("skictl archive restore"), "{why}");
    // A copy of an archived ride cannot be told from a new one.
    let copy = *rides()
        .iter()
        .find(|ride| ride.resort_day() == day())
        .unwrap();
    assert_eq!(setup.apply(&[copy]).await.refused.len(), 1);
    let error = reader.repair_day(day()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is archived, with checked counters"),
        "{error}"
    );

    reader.restore_day(day()).await.unwrap();
    let applied = setup.apply(&[copy, late[0]]).await;
    assert_eq!(
        (applied.new, applied.duplicates, applied.refused.len()),
        (1, 1, 0)
    );
    let all = rides().into_iter().chain(late).collect();
    check_against(&reader, &all).await;
    let error = reader.restore_day(day()).await.unwrap_err();
    assert!(error.to_string().ends_with("is not archived"), "{error}");
}

#[tokio::test]
async fn without_its_files_a_day_is_an_error_and_not_empty() {
    let setup = Setup::with(&rides()).await;
    let reader = setup.reader();
    let archived = reader.archive_day(day()).await.unwrap();
    let skier = ride(1, 1, 3, 1, 1).skier;
    assert!(reader.skier_day(day(), skier).await.unwrap().is_some());
    let without = setup.store.reader().unwrap();
    for asked in [
        without.skier_day(day(), skier).await.map(drop),
        without.days_of_skier(skier, &|_| true).await.map(drop),
        without.scan_day(day(), &mut |_, _| {}).await,
        without.restore_day(day()).await.map(drop),
    ] {
        assert!(
            matches!(asked, Err(StoreError::NoArchive { .. })),
            "{asked:?}"
        );
    }
    // What Redis still has is answered.
    assert_eq!(without.skiers_on(day()).await.unwrap(), archived.skiers);
    assert_eq!(
        u64::from(without.counters(day()).await.unwrap().rides),
        archived.rides
    );
    assert!(
        without
            .days_of_skier(skier, &|on| *on != day())
            .await
            .is_ok()
    );

    std::fs::remove_file(setup.archive().rides_file(day())).unwrap();
    let error = reader.skier_day(day(), skier).await.unwrap_err();
    let says = chain(&error);
    assert!(
        says.starts_with("the archive failed: cannot read "),
        "{says}"
    );
    let listed = reader.archived_days(&|_| true).await.unwrap();
    assert!(
        listed[0]
            .fault
            .as_ref()
            .is_some_and(|fault| fault.starts_with("cannot read ")),
        "{listed:?}"
    );
    assert!(reader.restore_day(day()).await.is_err());
    assert_eq!(setup.fields(day()).await, 1);
}

#[tokio::test]
async fn a_day_that_cannot_be_archived_goes_on() {
    let setup = Setup::with(&rides()).await;
    let reader = setup.reader();
    let goes_on = async |minute| {
        let applied = setup.apply(&[ride(1, 1, 8_000, minute, 1)]).await;
        assert_eq!((applied.new, applied.refused.len()), (1, 0));
    };
    let empty = reader.archive_day(ride(9, 1, 1, 1, 1).resort_day()).await;
    assert!(empty.unwrap_err().to_string().ends_with("has no rides"));

    // Its place is taken.
    let season = setup
        .archive()
        .rides_file(day())
        .parent()
        .unwrap()
        .to_owned();
    std::fs::create_dir_all(season.parent().unwrap()).unwrap();
    std::fs::write(&season, "").unwrap();
    let error = reader.archive_day(day()).await.unwrap_err();
    assert!(
        chain(&error).contains("cannot create "),
        "{}",
        chain(&error)
    );
    goes_on(1).await;
    std::fs::remove_file(&season).unwrap();

    let counts = format!("{{{}}}:counts:{}", setup.stack, day());
    setup.call::<u64>(&["SETRANGE", &counts, "0", "\x01"]).await;
    let error = reader.archive_day(day()).await.unwrap_err();
    assert!(
        error.to_string().contains("run `skictl repair` first"),
        "{error}"
    );
    goes_on(2).await;
    reader.repair_day(day()).await.unwrap();
    reader.archive_day(day()).await.unwrap();
}

#[tokio::test]
async fn days_move_while_rides_are_stored_and_read_and_none_is_lost_or_doubled() {
    let setup = Setup::with(&rides()).await;
    let reader = setup.reader();
    let (late, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let fresh: Vec<Ride> = (0..4_000)
        .map(|n| ride(1, 1 + n % 3, 20_000 + n % 900, 1 + n % 1_440, 2))
        .collect();
    let moving = async {
        for round in 0..6 {
            for day in days() {
                if round % 2 == 0 {
                    reader.archive_day(day).await.unwrap();
                } else {
                    reader.restore_day(day).await.unwrap();
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let storing = async {
        for part in fresh.chunks(40) {
            // Twice, as a redelivery would.
            for _ in 0..2 {
                let refused = setup.apply(part).await.refused;
                late.lock()
                    .unwrap()
                    .extend(refused.into_iter().map(|(ride, _)| ride));
            }
        }
    };
    let reading = async {
        let skiers: BTreeSet<_> = rides().iter().map(|ride| ride.skier).collect();
        let mut asked = 0;
        while !is_over.load(Ordering::Relaxed) {
            for skier in skiers.iter().copied().skip(asked % 97).step_by(97) {
                let days = reader.days_of_skier(skier, &|_| true).await.unwrap();
                let found = reader.skier_on_days(skier, &days).await.unwrap();
                let count: usize = found.iter().map(Vec::len).sum();
                assert_eq!(count, 4, "{skier}: {days:?}");
            }
            asked += 1;
        }
        assert!(asked > 1);
    };
    tokio::join!(moving, storing, reading);
    let late = late.into_inner().unwrap();
    assert!(!late.is_empty());
    assert!(reader.archived_days(&|_| true).await.unwrap().is_empty());
    // As a replay of the dead letters.
    assert!(setup.apply(&late).await.refused.is_empty());
    check_against(&reader, &rides().into_iter().chain(fresh).collect()).await;
}
