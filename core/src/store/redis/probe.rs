//! What Redis tells of itself, for who wants to know why nothing works. Nothing is changed.

use std::collections::HashMap;

use super::durability::{Weakness, weaknesses};
use super::{FORMAT, Store, StoreError, failed};
use crate::clock::epoch_ms;

/// A Redis, as it is found.
#[derive(Debug)]
pub struct ProbedRedis {
    /// Its version.
    pub version: String,
    /// Bytes that it uses.
    pub used_bytes: u64,
    /// Bytes that it may use; `None` where there is no limit.
    pub limit_bytes: Option<u64>,
    /// Settings by which acknowledged rides can be lost.
    pub weaknesses: Vec<Weakness>,
    /// Whether its last write to the append-only file succeeded.
    pub last_write_ok: bool,
    /// Whether it takes writes: a replica does not.
    pub is_primary: bool,
    /// By how much its clock is ahead of ours, in milliseconds.
    pub ahead_ms: i64,
    /// The version of the stack's data; `None` where there are none.
    pub format: Option<String>,
}

impl ProbedRedis {
    /// Whether this version reads the stack's data.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let known = |found: &String| found.parse::<u32>().is_ok_and(|found| found <= FORMAT);
        self.format.as_ref().is_none_or(known)
    }
}

impl Store {
    /// Asks Redis how it is.
    ///
    /// # Errors
    /// When it cannot be reached or refuses us.
    pub async fn probe(&self) -> Result<ProbedRedis, StoreError> {
        let pooled = self.pool.get().await;
        let mut connection = pooled.map_err(|error| self.explain(error))?;
        let info: String = redis::cmd("INFO")
            .query_async(&mut connection)
            .await
            .map_err(failed("tell how it is"))?;
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        let info: HashMap<&str, &str> = lines.map(|(name, value)| (name, value.trim())).collect();
        let number = |name: &str| info.get(name).and_then(|value| value.parse::<u64>().ok());

        let asked_ms = epoch_ms();
        let (seconds, micros): (u64, u64) = redis::cmd("TIME")
            .query_async(&mut connection)
            .await
            .map_err(failed("tell its time"))?;
        // It answered somewhere between question and answer.
        let ours_ms = u64::midpoint(asked_ms, epoch_ms());
        let ahead_ms = (seconds * 1000 + micros / 1000).cast_signed() - ours_ms.cast_signed();
        let format = redis::cmd("GET")
            .arg(self.keys.format())
            .query_async(&mut connection)
            .await
            .map_err(failed("tell the format of its data"))?;
        Ok(ProbedRedis {
            version: (*info.get("redis_version").unwrap_or(&"unknown")).to_owned(),
            used_bytes: number("used_memory").unwrap_or(0),
            limit_bytes: number("maxmemory").filter(|&limit| limit > 0),
            weaknesses: weaknesses(&mut connection).await?,
            last_write_ok: info
                .get("aof_last_write_status")
                .is_none_or(|status| *status == "ok"),
            is_primary: info.get("role").is_none_or(|role| *role == "master"),
            ahead_ms,
            format,
        })
    }
}
