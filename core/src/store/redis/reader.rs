//! Queries of the ledger, the counters and the indexes.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisResult};

use super::keys::Keys;
use super::{failed, reconciliation};
use crate::control::heartbeat::LaneConfirmed;
use crate::packed::{Boarding, unpack_sorted};
use crate::queue::Shed;
use crate::reconciliation::Reconciliation;
use crate::ride::{Day, LiftId, ResortDay, ResortId, Season, SkierId};
use crate::store::counters::{COUNTER_BYTES, DayCounters, lift_position};
use crate::store::{Capacity, Reader, Repaired, StoreError};

/// Timeout of a query.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout of recounting a day: Redis does nothing else meanwhile.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(30);
/// Skiers per step of a scan.
const SCAN_COUNT: usize = 1000;

/// Connections for reads: one for short queries of all requests, pipelined, and one for long scans, so that no short query
/// waits behind a scan.
#[derive(Clone)]
pub struct RedisReader {
    questions: ConnectionManager,
    scans: ConnectionManager,
    /// Connection for long-running writes.
    pub(super) repairs: ConnectionManager,
    pub(super) keys: Keys,
}

impl RedisReader {
    pub(super) fn new(client: Client, keys: Keys) -> Result<Self, StoreError> {
        let connect = |timeout| {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(READ_TIMEOUT))
                .set_response_timeout(Some(timeout))
                .set_min_delay(Duration::from_millis(100))
                .set_max_delay(Duration::from_secs(1))
                .set_number_of_retries(1);
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(StoreError::Url)
        };
        Ok(Self {
            questions: connect(READ_TIMEOUT)?,
            scans: connect(READ_TIMEOUT)?,
            repairs: connect(REPAIR_TIMEOUT)?,
            keys,
        })
    }

    async fn ranged_set<T: Ord, E>(
        &self,
        doing: &'static str,
        key: String,
        read: impl Fn(u64) -> Result<T, E>,
    ) -> Result<Vec<T>, StoreError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(key);
        let numbers: Vec<u64> = self.ask(doing, &command).await?;
        let mut members: Vec<T> = numbers.into_iter().filter_map(|n| read(n).ok()).collect();
        members.sort_unstable();
        Ok(members)
    }

    async fn ask<T: FromRedisValue>(
        &self,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        command
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed(doing))
    }

    fn unpack(&self, day: ResortDay, packed: &[u8]) -> Result<Vec<Boarding>, StoreError> {
        let corrupt = |source| StoreError::Corrupt {
            key: self.keys.rides(day),
            source,
        };
        unpack_sorted(packed).map_err(corrupt)
    }
}

#[async_trait]
impl Reader for RedisReader {
    fn name(&self) -> &'static str {
        "Redis"
    }

    async fn skier_day(
        &self,
        day: ResortDay,
        skier: SkierId,
    ) -> Result<Option<Vec<Boarding>>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys.rides(day)).arg(skier.get());
        let packed: Option<Vec<u8>> = self.ask("find a skier's rides", &command).await?;
        packed.map(|packed| self.unpack(day, &packed)).transpose()
    }

    async fn skier_on_days(
        &self,
        skier: SkierId,
        days: &[ResortDay],
    ) -> Result<Vec<Vec<Boarding>>, StoreError> {
        if days.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(days.len());
        for day in days {
            pipeline
                .cmd("HGET")
                .arg(self.keys.rides(*day))
                .arg(skier.get());
        }
        let packed: Vec<Option<Vec<u8>>> = pipeline
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed("find a skier's rides"))?;
        let unpack = |(day, packed): (&ResortDay, Option<Vec<u8>>)| {
            self.unpack(*day, packed.as_deref().unwrap_or_default())
        };
        days.iter().zip(packed).map(unpack).collect()
    }

    async fn days_of_skier(&self, skier: SkierId) -> Result<Vec<ResortDay>, StoreError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.keys.skier(skier));
        let indexes: Vec<u64> = self.ask("list a skier's days", &command).await?;
        let mut days: Vec<ResortDay> = indexes
            .into_iter()
            .filter_map(|index| ResortDay::from_index(index).ok())
            .collect();
        days.sort_unstable();
        Ok(days)
    }

    async fn skiers_on(&self, day: ResortDay) -> Result<u64, StoreError> {
        let mut command = redis::cmd("HLEN");
        command.arg(self.keys.rides(day));
        self.ask("count a day's skiers", &command).await
    }

    async fn counters(&self, day: ResortDay) -> Result<DayCounters, StoreError> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.counts(day));
        let bytes: Option<Vec<u8>> = self.ask("return a day's counters", &command).await?;
        Ok(DayCounters::parse(bytes.as_deref().unwrap_or_default()))
    }

    async fn lift_rides(&self, day: ResortDay, lift: LiftId) -> Result<u32, StoreError> {
        let start = lift_position(lift) * COUNTER_BYTES;
        let mut command = redis::cmd("GETRANGE");
        command
            .arg(self.keys.counts(day))
            .arg(start)
            .arg(start + COUNTER_BYTES - 1);
        let bytes: Vec<u8> = self.ask("return a lift's counter", &command).await?;
        Ok(bytes.try_into().map_or(0, u32::from_be_bytes))
    }

    async fn resorts(&self) -> Result<Vec<ResortId>, StoreError> {
        self.ranged_set("list the resorts", self.keys.resorts(), ResortId::new)
            .await
    }

    async fn seasons(&self, resort: ResortId) -> Result<Vec<Season>, StoreError> {
        self.ranged_set(
            "list a resort's seasons",
            self.keys.seasons(resort),
            Season::new,
        )
        .await
    }

    async fn days(&self, resort: ResortId, season: Season) -> Result<Vec<Day>, StoreError> {
        self.ranged_set(
            "list a season's days",
            self.keys.days(resort, season),
            Day::new,
        )
        .await
    }

    async fn add_season(&self, resort: ResortId, season: Season) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("SADD")
            .arg(self.keys.seasons(resort))
            .arg(season.get())
            .ignore();
        pipeline
            .cmd("SADD")
            .arg(self.keys.resorts())
            .arg(resort.get())
            .ignore();
        let added: RedisResult<()> = pipeline.query_async(&mut self.questions.clone()).await;
        added.map_err(failed("add a season"))
    }

    async fn scan_day(
        &self,
        day: ResortDay,
        visit: &mut (dyn FnMut(SkierId, Vec<Boarding>) + Send),
    ) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        loop {
            let mut command = redis::cmd("HSCAN");
            command
                .arg(self.keys.rides(day))
                .arg(cursor)
                .arg("COUNT")
                .arg(SCAN_COUNT);
            let (next, found): (u64, Vec<(u64, Vec<u8>)>) = command
                .query_async(&mut self.scans.clone())
                .await
                .map_err(failed("scan a day"))?;
            for (skier, packed) in found {
                if let Ok(skier) = SkierId::new(skier) {
                    visit(skier, self.unpack(day, &packed)?);
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn repair_day(&self, day: ResortDay) -> Result<Repaired, StoreError> {
        super::repair::repair_day(self, day).await
    }

    async fn reconciliation(&self) -> Result<Reconciliation, StoreError> {
        reconciliation::read(&mut self.questions.clone(), &self.keys).await
    }

    async fn prune_epochs(&self, ended: &[LaneConfirmed]) -> Result<u64, StoreError> {
        reconciliation::prune(&mut self.questions.clone(), &self.keys, ended).await
    }

    async fn capacity(&self) -> Result<Capacity, StoreError> {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let text: String = self.ask("report its memory", &command).await?;
        let number = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse::<u64>().ok())
        };
        Ok(Capacity {
            used_bytes: number("used_memory").unwrap_or(0),
            limit_bytes: number("maxmemory").filter(|&limit| limit > 0),
            when_full: Shed::StoreMemory,
        })
    }
}
