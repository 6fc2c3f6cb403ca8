//! Diagnosis of Redis. Nothing is changed.

use std::collections::HashMap;

use super::durability::{Weakness, weaknesses};
use super::{FORMAT, Store, StoreError, failed};
use crate::clock::epoch_ms;
use crate::redis_error::RedisFailure;

/// A Redis server that was probed.
#[derive(Debug)]
pub struct ProbedRedis {
    /// Its version.
    pub version: String,
    /// Bytes that it uses.
    pub used_bytes: u64,
    /// Memory limit in bytes; `None` if there is no limit.
    pub limit_bytes: Option<u64>,
    /// Settings that can lose acknowledged rides.
    pub weaknesses: Vec<Weakness>,
    /// Whether its last write to the append-only file succeeded.
    pub last_write_ok: bool,
    /// Whether it is a primary, and not a replica.
    pub is_primary: bool,
    /// Why it refuses writes, if it does: it is a replica, its disk or its memory is full, the user may not write.
    pub refuses_writes: Option<String>,
    /// How far its clock is ahead of the local one, in milliseconds.
    pub ahead_ms: i64,
    /// The version of the stack's data; `None` if there is no data.
    pub format: Option<String>,
}

impl ProbedRedis {
    /// Whether this version can read the stack's data.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let known = |found: &String| found.parse::<u32>().is_ok_and(|found| found <= FORMAT);
        self.format.as_ref().is_none_or(known)
    }
}

impl Store {
    /// Probes Redis.
    ///
    /// # Errors
    /// If it cannot be reached or denies access.
    pub async fn probe(&self) -> Result<ProbedRedis, StoreError> {
        let pooled = self.pool.get().await;
        let mut connection = pooled.map_err(|error| self.explain(error))?;
        let info: String = redis::cmd("INFO")
            .query_async(&mut connection)
            .await
            .map_err(failed("report its status"))?;
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        let info: HashMap<&str, &str> = lines.map(|(name, value)| (name, value.trim())).collect();
        let number = |name: &str| info.get(name).and_then(|value| value.parse::<u64>().ok());

        let asked_ms = epoch_ms();
        let (seconds, micros): (u64, u64) = redis::cmd("TIME")
            .query_async(&mut connection)
            .await
            .map_err(failed("report its time"))?;
        // Its clock was read between request and response.
        let ours_ms = u64::midpoint(asked_ms, epoch_ms());
        let ahead_ms = (seconds * 1000 + micros / 1000).cast_signed() - ours_ms.cast_signed();
        let format = redis::cmd("GET")
            .arg(self.keys.format())
            .query_async(&mut connection)
            .await
            .map_err(failed("report the format of its data"))?;
        // A write that needs memory, and changes nothing: no key is made for an empty value.
        let written: Result<(), redis::RedisError> = redis::cmd("SETRANGE")
            .arg(self.keys.probe())
            .arg(0)
            .arg("")
            .query_async(&mut connection)
            .await;
        Ok(ProbedRedis {
            refuses_writes: written
                .err()
                .map(|error| RedisFailure::from(error).to_string()),
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
