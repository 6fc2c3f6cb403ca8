//! Reconciliation in Redis: its scripts and queries.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Script};

use super::failed;
use super::keys::Keys;
use crate::books::{Books, Entries, LaneBook, Settlement};
use crate::control::heartbeat::LaneConfirmed;
use crate::store::StoreError;

/// Channel epochs pruned per call: the script passes them to one command.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// A hash as returned by Redis.
type Fields<T> = Vec<(String, T)>;

/// Settles messages and counts them.
pub(super) static SETTLE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("settle.lua")));

static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));

/// Adds the call that settles messages.
pub(super) fn add_settling(pipeline: &mut Pipeline, keys: &Keys, settlements: &[Settlement]) {
    let entries = Entries::from(settlements);
    pipeline.cmd("EVALSHA").arg(SETTLE.get_hash()).arg(2);
    pipeline.arg(keys.books()).arg(keys.settled());
    pipeline.arg(entries.foreign).arg(entries.foreign_dead);
    for ((epoch, lane), of_life) in entries.lanes {
        pipeline.arg(life_field(epoch, lane)).arg(of_life.len());
        for entry in of_life {
            pipeline.arg(entry.sequence).arg(entry.rides);
            pipeline.arg(entry.dead).arg(u8::from(entry.is_replay));
        }
    }
}

/// Reads a consistent snapshot of the reconciliation counters.
pub(super) async fn read(
    connection: &mut (impl ConnectionLike + Send),
    keys: &Keys,
) -> Result<Books, StoreError> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.atomic();
    pipeline.cmd("HGETALL").arg(keys.books());
    pipeline.cmd("HGETALL").arg(keys.settled());
    let read: RedisResult<(Fields<u64>, Fields<String>)> = pipeline.query_async(connection).await;
    let (totals, lives) = read.map_err(failed("return the reconciliation counters"))?;
    let mut books = Books::default();
    for (total, number) in totals {
        match &*total {
            "applied" => books.applied = number,
            "dead" => books.dead = number,
            "settled" => books.settled = number,
            "replayed" => books.replayed = number,
            "foreign" => books.foreign = number,
            _ => {}
        }
    }
    for (life, marks) in lives {
        let book = read_life(&life, &marks).ok_or_else(|| StoreError::CorruptBooks {
            key: keys.settled(),
            field: life.clone(),
        })?;
        books.lanes.push(book);
    }
    books
        .lanes
        .sort_unstable_by_key(|book| (book.epoch, book.lane));
    Ok(books)
}

/// Removes ended epochs whose confirmed numbers are all settled; returns how many.
pub(super) async fn forget(
    connection: &mut (impl ConnectionLike + Send),
    keys: &Keys,
    ended: &[LaneConfirmed],
) -> Result<u64, StoreError> {
    let ended: Vec<_> = ended.iter().filter(|life| life.ended).collect();
    let mut forgotten = 0;
    for some in ended.chunks(FORGOTTEN_AT_ONCE) {
        let mut call = FORGET.key(keys.settled());
        for life in some {
            call.arg(life_field(life.epoch, life.channel))
                .arg(life.high_watermark);
        }
        let called = call.invoke_async::<u64>(connection).await;
        forgotten += called.map_err(failed("prune finished publisher channels"))?;
    }
    Ok(forgotten)
}

fn life_field(epoch: u64, lane: u16) -> String {
    format!("{epoch:016x}-{lane}")
}

/// Parses the value that `settle.lua` writes for an epoch; `None` for other values.
fn read_life(life: &str, marks: &str) -> Option<LaneBook> {
    let (epoch, lane) = life.split_once('-')?;
    let (rides, ranges) = marks.split_once(';')?;
    let range = |range: &str| {
        let (first, last) = range.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    Some(LaneBook {
        epoch: u64::from_str_radix(epoch, 16).ok()?,
        lane: lane.parse().ok()?,
        rides: rides.parse().ok()?,
        marked: ranges.split(',').map(range).collect::<Option<_>>()?,
    })
}
