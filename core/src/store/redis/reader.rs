//! Queries of the ledger, the counters and the indexes.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisResult};

use super::archive::{self, DayState, STATE_FIELD, listed_days};
use super::keys::Keys;
use super::{failed, reconciliation};
use crate::archive::{Archive, ArchivedDay};
use crate::control::heartbeat::LaneConfirmed;
use crate::packed::{Boarding, unpack_sorted};
use crate::queue::Shed;
use crate::reconciliation::Reconciliation;
use crate::ride::{Day, LiftId, ResortDay, ResortId, Season, SkierId};
use crate::store::counters::{COUNTER_BYTES, DayCounters, lift_position};
use crate::store::reader::WantedDays;
use crate::store::{ArchivedFiles, Capacity, Reader, Repaired, StoreError};

/// Timeout of a query.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Timeout of recounting a day: Redis does nothing else meanwhile.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(30);
/// A skier's packed rides of a day, and the state of the day.
type LedgerFields = (Option<Vec<u8>>, Option<Vec<u8>>);

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
    /// Where archived days are, if this process knows.
    pub(super) archive: Option<Archive>,
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
            archive: None,
        })
    }

    /// The same reader, with the archive that has the archived days.
    #[must_use]
    pub fn with_archive(self, archive: Option<Archive>) -> Self {
        Self { archive, ..self }
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

    /// Looks for rides of a skier that were not in Redis: the days may be archived. Rides and state of a day are of one moment, so
    /// that one that is restored meanwhile is in one of both.
    async fn missing_on_days(
        &self,
        skier: SkierId,
        days: Vec<ResortDay>,
    ) -> Result<Vec<Vec<Boarding>>, StoreError> {
        let mut pipeline = Pipeline::with_capacity(days.len());
        for day in &days {
            let key = self.keys.rides(*day);
            let command = pipeline.cmd("HMGET").arg(key);
            command.arg(skier.get()).arg(STATE_FIELD);
        }
        let found: Vec<LedgerFields> = pipeline
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed("find a skier's rides"))?;
        self.with_archived(skier, days.into_iter().zip(found).collect())
            .await
    }

    /// Reads rides of a skier: those in Redis, or where a day is archived, those in the files.
    async fn with_archived(
        &self,
        skier: SkierId,
        found: Vec<(ResortDay, LedgerFields)>,
    ) -> Result<Vec<Vec<Boarding>>, StoreError> {
        let (mut rides, mut archived) = (Vec::with_capacity(found.len()), Vec::new());
        for (at, (day, (packed, state))) in found.into_iter().enumerate() {
            let state = DayState::parse(&self.keys.rides(day), state.as_deref())?;
            if let DayState::Archived(of_day) = state {
                archived.push((at, (day, of_day)));
            }
            rides.push(self.unpack(day, packed.as_deref().unwrap_or_default())?);
        }
        let Some(&(_, (first, _))) = archived.first() else {
            return Ok(rides);
        };
        let (places, archived): (Vec<usize>, Vec<_>) = archived.into_iter().unzip();
        let archive = self.archive.as_ref();
        let archive = archive.ok_or(StoreError::NoArchive { day: first })?;
        let in_files = archive.rides_of(skier, archived).await?;
        for (at, of_day) in places.into_iter().zip(in_files) {
            rides[at] = of_day;
        }
        Ok(rides)
    }

    /// Whether a day is closed or archived.
    pub(super) async fn state_of(&self, day: ResortDay) -> Result<DayState, StoreError> {
        let mut states = self.states_of(&[day]).await?;
        Ok(states.pop().unwrap_or(DayState::Open))
    }

    /// Whether each of these days is closed or archived.
    pub(super) async fn states_of(&self, days: &[ResortDay]) -> Result<Vec<DayState>, StoreError> {
        let keys: Vec<String> = days.iter().map(|day| self.keys.rides(*day)).collect();
        let mut pipeline = Pipeline::with_capacity(keys.len());
        for key in &keys {
            pipeline.cmd("HGET").arg(key).arg(STATE_FIELD);
        }
        let fields: Vec<Option<Vec<u8>>> = pipeline
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed("report the state of a day"))?;
        let states = keys.iter().zip(fields);
        states
            .map(|(key, field)| DayState::parse(key, field.as_deref()))
            .collect()
    }

    /// The lists of archived days by resort and season.
    pub(super) async fn archived_lists(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.archived());
        self.ask("list archived days", &command).await
    }

    /// Visits what is in Redis of a day, as [`Reader::scan_day`] does.
    pub(super) async fn scan_ledger(
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
                // The state of the day is no skier.
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
        let rides = self.skier_on_days(skier, &[day]).await?.pop();
        Ok(rides.filter(|rides| !rides.is_empty()))
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
            let key = self.keys.rides(*day);
            pipeline.cmd("HGET").arg(key).arg(skier.get());
        }
        let found: Vec<Option<Vec<u8>>> = pipeline
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed("find a skier's rides"))?;
        let (mut rides, mut missing) = (Vec::with_capacity(found.len()), Vec::new());
        for (at, (day, packed)) in days.iter().zip(found).enumerate() {
            if packed.is_none() {
                missing.push((at, *day));
            }
            rides.push(self.unpack(*day, packed.as_deref().unwrap_or_default())?);
        }
        if !missing.is_empty() {
            let (places, days): (Vec<usize>, Vec<_>) = missing.into_iter().unzip();
            let of_missing = self.missing_on_days(skier, days).await?;
            for (at, of_day) in places.into_iter().zip(of_missing) {
                rides[at] = of_day;
            }
        }
        Ok(rides)
    }

    async fn days_of_skier(
        &self,
        skier: SkierId,
        wanted: WantedDays<'_>,
    ) -> Result<Vec<ResortDay>, StoreError> {
        // A day that is archived is in the list before it leaves the index, which is read first; one that is restored is in both for a
        // round trip at least, and these two run one after the other.
        let mut pipeline = redis::pipe();
        pipeline.cmd("SMEMBERS").arg(self.keys.skier(skier));
        pipeline.cmd("HGETALL").arg(self.keys.archived());
        let (indexes, lists): (Vec<u64>, Vec<(String, String)>) = pipeline
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed("list a skier's days"))?;
        let mut days: Vec<ResortDay> = indexes
            .into_iter()
            .filter_map(|index| ResortDay::from_index(index).ok())
            .filter(wanted)
            .collect();
        let archived = listed_days(&lists, wanted);
        if let Some(&day) = archived.first() {
            let archive = self.archive.as_ref();
            let archive = archive.ok_or(StoreError::NoArchive { day })?;
            days.extend(archive.days_of(skier, archived).await?);
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    async fn skiers_on(&self, day: ResortDay) -> Result<u64, StoreError> {
        let key = self.keys.rides(day);
        let mut pipeline = redis::pipe();
        pipeline.cmd("HLEN").arg(&key);
        pipeline.cmd("HGET").arg(&key).arg(STATE_FIELD);
        let (fields, state): (u64, Option<Vec<u8>>) = pipeline
            .query_async(&mut self.questions.clone())
            .await
            .map_err(failed("count a day's skiers"))?;
        Ok(match DayState::parse(&key, state.as_deref())? {
            DayState::Archived(archived) => archived.skiers,
            DayState::Closed => fields.saturating_sub(1),
            DayState::Open | DayState::Empty => fields,
        })
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
        // A day may be archived while it is scanned.
        for is_scanned in [false, true] {
            if let DayState::Archived(archived) = self.state_of(day).await? {
                let archive = self.archive.as_ref();
                let archive = archive.ok_or(StoreError::NoArchive { day })?;
                let rides = archive.read_all(day, &archived).await?;
                rides
                    .into_iter()
                    .for_each(|(skier, rides)| visit(skier, rides));
                return Ok(());
            }
            if !is_scanned {
                self.scan_ledger(day, visit).await?;
            }
        }
        Ok(())
    }

    async fn repair_day(&self, day: ResortDay) -> Result<Repaired, StoreError> {
        super::repair::repair_day(self, day).await
    }

    async fn archive_day(&self, day: ResortDay) -> Result<ArchivedDay, StoreError> {
        archive::archive_day(self, day).await
    }

    async fn restore_day(&self, day: ResortDay) -> Result<ArchivedDay, StoreError> {
        archive::restore_day(self, day).await
    }

    async fn archived_days(
        &self,
        wanted: WantedDays<'_>,
    ) -> Result<Vec<ArchivedFiles>, StoreError> {
        archive::archived_days(self, wanted).await
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
