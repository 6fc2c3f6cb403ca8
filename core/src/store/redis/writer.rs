//! Stores batches of rides: one script call for each resort day, then the indexes.
//!
//! Everything here may be repeated with the same batch after any error: rides already stored are counted as duplicates and
//! their indexes are written again.

use std::collections::HashSet;
use std::sync::LazyLock;

use deadpool_redis::Connection;
use redis::{FromRedisValue, Pipeline, RedisResult, Script, Value};

use super::keys::Keys;
use super::{failed, reconciliation};
use crate::packed::{Boarding, MAX_RIDES_PER_SKIER_DAY, PACKED_BYTES, unpack_all};
use crate::reconciliation::Settlement;
use crate::ride::{ResortDay, Ride, SkierId};
use crate::store::batch::{Batch, DayCall};
use crate::store::{Applied, StoreError};

static APPLY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("apply.lua")));

/// Why a ride of a closed day is refused.
const DAY_CLOSED: &str =
    "the day is archived: restore it with `skictl archive restore`, then replay the dead letter";

/// What the script returns: new rides, duplicates, positions to index, positions with refused rides, and whether the day is closed.
type ScriptAnswer = (u64, u64, Vec<usize>, Vec<Value>, bool);

/// Skiers of a batch to be indexed: new on their day, or with duplicates.
#[derive(Debug, Default)]
pub struct ToIndex(Vec<(ResortDay, SkierId)>);

/// A connection for writes.
pub struct Writer {
    connection: Connection,
    keys: Keys,
    /// Days that this connection has added to the sets of days, seasons and resorts. It is discarded with the connection,
    /// because Redis may have been emptied meanwhile.
    listed_days: HashSet<ResortDay>,
}

impl Writer {
    pub(super) fn new(connection: Connection, keys: Keys) -> Self {
        Self {
            connection,
            keys,
            listed_days: HashSet::new(),
        }
    }

    /// Stores and indexes a batch and returns when Redis has acknowledged all of it.
    ///
    /// # Errors
    /// If a call failed. Part of the batch may be stored; apply it again with a new writer.
    pub async fn apply(&mut self, batch: &Batch) -> Result<Applied, StoreError> {
        let (applied, to_index) = self.store(batch).await?;
        self.settle(&to_index, &[]).await?;
        Ok(applied)
    }

    /// Stores a batch; [`Self::settle`] writes its indexes.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn store(&mut self, batch: &Batch) -> Result<(Applied, ToIndex), StoreError> {
        let mut applied = Applied::default();
        let mut to_index = Vec::new();
        if batch.is_empty() {
            return Ok((applied, ToIndex(to_index)));
        }
        let answers = self.run_scripts(batch).await?;
        if answers.len() != batch.call_count() {
            return Err(StoreError::Unaccounted {
                key: "a batch".to_owned(),
            });
        }
        for (call, answer) in batch.calls().zip(answers) {
            match answer {
                Ok(answer) => take_answer(call, answer, &mut applied, &mut to_index)?,
                Err(error) if error.code() == Some("WRONGTYPE") => {
                    let reason = error
                        .detail()
                        .unwrap_or("a key holds another type")
                        .to_owned();
                    applied
                        .refused
                        .extend(call.rides.iter().map(|ride| (*ride, reason.clone())));
                }
                Err(error) => return Err(failed("store a batch")(error)),
            }
            applied.duplicates += u64::from(call.copies);
        }
        Ok((applied, ToIndex(to_index)))
    }

    /// Calls the script for each day. The transaction is not used for isolation: Redis runs all of it in one iteration of
    /// its event loop, and so with one fsync instead of one per 16 KiB of input.
    async fn run_scripts(
        &mut self,
        batch: &Batch,
    ) -> Result<Vec<RedisResult<ScriptAnswer>>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(batch.call_count());
        for call in batch.calls() {
            self.add_call(&mut pipeline, call);
        }
        self.run("store a batch", pipeline, &APPLY).await
    }

    /// Runs calls of a script as one transaction; each has its own result.
    async fn run<T: FromRedisValue>(
        &mut self,
        doing: &'static str,
        mut pipeline: Pipeline,
        script: &Script,
    ) -> Result<Vec<RedisResult<T>>, StoreError> {
        pipeline.atomic().ignore_errors();
        let answered = pipeline.query_async(&mut self.connection).await;
        let answers: Vec<RedisResult<T>> = answered.map_err(failed(doing))?;
        let forgotten = |answer: &RedisResult<T>| matches!(answer, Err(error) if error.code() == Some("NOSCRIPT"));
        if !answers.iter().any(forgotten) {
            return Ok(answers);
        }
        // Redis loses scripts when it restarts. Repeating the other calls is safe.
        let loading = script.load_async(&mut self.connection).await;
        loading.map_err(failed("load a script"))?;
        let answered = pipeline.query_async(&mut self.connection).await;
        answered.map_err(failed(doing))
    }

    fn add_call(&self, pipeline: &mut Pipeline, call: DayCall<'_>) {
        pipeline.cmd("EVALSHA").arg(APPLY.get_hash()).arg(3);
        pipeline
            .arg(self.keys.rides(call.day))
            .arg(self.keys.counts(call.day))
            .arg(self.keys.books());
        pipeline
            .arg(call.copies)
            .arg(MAX_RIDES_PER_SKIER_DAY * PACKED_BYTES);
        let mut packed = Vec::new();
        for rides in call.skiers() {
            packed.clear();
            packed.extend(rides.iter().flat_map(|ride| Boarding::from(ride).pack()));
            pipeline.arg(rides[0].skier.get()).arg(packed.as_slice());
        }
    }

    /// Writes the indexes of skiers, days, seasons and resorts, and settles messages, in one transaction: all their lines
    /// must already be stored or dead-lettered.
    ///
    /// # Errors
    /// If a call failed. Repeat it with a new writer.
    pub async fn settle(
        &mut self,
        ToIndex(skiers): &ToIndex,
        settlements: &[Settlement],
    ) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::with_capacity(skiers.len() + 1);
        for &(day, skier) in skiers {
            pipeline
                .cmd("SADD")
                .arg(self.keys.skier(skier))
                .arg(day.to_index());
        }
        let days: HashSet<ResortDay> = skiers.iter().map(|&(day, _)| day).collect();
        let unlisted: Vec<ResortDay> = days.difference(&self.listed_days).copied().collect();
        for day in &unlisted {
            pipeline
                .cmd("SADD")
                .arg(self.keys.days(day.resort, day.season))
                .arg(day.day.get());
            pipeline
                .cmd("SADD")
                .arg(self.keys.seasons(day.resort))
                .arg(day.season.get());
            pipeline
                .cmd("SADD")
                .arg(self.keys.resorts())
                .arg(day.resort.get());
        }
        if !settlements.is_empty() {
            reconciliation::add_settling(&mut pipeline, &self.keys, settlements);
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        let doing = "write indexes and settlements";
        let answers: Vec<RedisResult<Value>> =
            self.run(doing, pipeline, &reconciliation::SETTLE).await?;
        for answer in answers {
            answer.map_err(failed(doing))?;
        }
        self.listed_days.extend(unlisted);
        Ok(())
    }
}

fn take_answer(
    call: DayCall<'_>,
    (new, duplicates, positions, refused, is_closed): ScriptAnswer,
    applied: &mut Applied,
    to_index: &mut Vec<(ResortDay, SkierId)>,
) -> Result<(), StoreError> {
    applied.new += new;
    applied.duplicates += duplicates;
    let skiers: Vec<&[Ride]> = call.skiers().collect();
    // Positions count from 1.
    let skier_at = |position: usize| skiers.get(position.wrapping_sub(1)).map(|rides| rides[0]);
    to_index.extend(
        positions
            .into_iter()
            .filter_map(skier_at)
            .map(|ride| (call.day, ride.skier)),
    );
    let unaccounted = || StoreError::Unaccounted {
        key: call.day.to_string(),
    };
    let mut refused_rides = 0;
    for pair in refused.chunks_exact(2) {
        let position: usize = redis::from_redis_value_ref(&pair[0]).map_err(|_| unaccounted())?;
        let packed: Vec<u8> = redis::from_redis_value_ref(&pair[1]).map_err(|_| unaccounted())?;
        let first = skier_at(position).ok_or_else(unaccounted)?;
        let corrupt = |source| StoreError::Corrupt {
            key: call.day.to_string(),
            source,
        };
        for ride in unpack_all(&packed).map_err(corrupt)? {
            let ride = Ride {
                minute: ride.minute,
                lift: ride.lift,
                ..first
            };
            let reason = if is_closed {
                DAY_CLOSED.to_owned()
            } else {
                format!(
                    "the skier has {MAX_RIDES_PER_SKIER_DAY} rides on this day, which is the maximum"
                )
            };
            applied.refused.push((ride, reason));
            refused_rides += 1;
        }
    }
    // The acknowledgement depends on this answer: it must account for every ride.
    if new + duplicates + refused_rides != call.rides.len() as u64 {
        return Err(unaccounted());
    }
    Ok(())
}
