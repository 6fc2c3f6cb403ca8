//! Checks of Redis: connection, durability and memory.

use skilift_core::lifecycle::chain;
use skilift_core::stack::StackName;
use skilift_core::store::StoreError;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_core::store::redis::probe::ProbedRedis;

use super::findings::{Finding, clock, failed, ok, warning};
use crate::client::bytes;
use crate::config::Servers;

/// The oldest supported major version.
const OLDEST: u32 = 7;
/// Memory usage in percent: from the first on the check warns, from the second on the API rejects rides.
const FILLING: u64 = 70;
const FULL: u64 = 85;

pub(super) async fn check(
    servers: &Servers,
    stack: &StackName,
    store_durability: StoreDurability,
) -> Vec<Finding> {
    let url = &servers.redis_url;
    let store = match Store::for_reading(url.clone(), stack) {
        Ok(store) => store,
        Err(error) => return vec![failed("redis", chain(&error), "fix --redis-url")],
    };
    let found = match store.probe().await {
        Ok(found) => found,
        Err(error) => {
            let fix = match &error {
                StoreError::Refused { .. } => {
                    "check user and password in --redis-url, and the ACL of the user"
                }
                StoreError::Connect { .. } => {
                    "start Redis, or fix --redis-url: Redis must listen on that address"
                }
                _ => "see Redis' log, and check the ACL of the user",
            };
            return vec![failed("redis", chain(&error), fix)];
        }
    };
    vec![
        if found.is_primary {
            ok("redis", format!("connected to {url}"))
        } else {
            failed(
                "redis",
                format!("{url} is a read-only replica"),
                "set --redis-url to the address of the primary",
            )
        },
        version(&found.version),
        writes(&found, stack),
        durability(&found, store_durability),
        memory(&found),
        clock("redis clock", "Redis' clock", found.ahead_ms),
        format(&found),
    ]
}

fn version(version: &str) -> Finding {
    let major: Option<u32> = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    match major {
        Some(major) if major >= OLDEST => ok("redis version", version),
        _ => failed(
            "redis version",
            version,
            format!("upgrade to Redis {OLDEST} or newer"),
        ),
    }
}

fn writes(found: &ProbedRedis, stack: &StackName) -> Finding {
    let check = "redis writes";
    match &found.refuses_writes {
        None => ok(check, "accepted"),
        Some(why) => failed(
            check,
            format!("refused: {why}"),
            format!(
                "remove the cause that it gives; a user of an ACL needs the keys ~{{{stack}}}:* and the commands of docs/operations.md, \"Users and permissions\""
            ),
        ),
    }
}

fn durability(found: &ProbedRedis, said: StoreDurability) -> Finding {
    let check = "redis durability";
    if !found.last_write_ok {
        return failed(
            check,
            "the last write to the append-only file failed",
            "free space on Redis' disk, and see its log",
        );
    }
    if said == StoreDurability::Managed {
        let says = "promised by the provider of the service (--store-durability managed); its settings are not checked";
        return ok(check, says);
    }
    if found.weaknesses.is_empty() {
        return ok(check, "durable: acknowledged writes survive a crash");
    }
    let weak: Vec<String> = found.weaknesses.iter().map(ToString::to_string).collect();
    let weak = format!("acknowledged rides can be lost: {}", weak.join("; "));
    let fix = "set appendonly yes, appendfsync always, no-appendfsync-on-rewrite no and maxmemory-policy noeviction, in redis.conf or by CONFIG SET";
    if said == StoreDurability::Lossy {
        warning(check, weak + " (accepted: --store-durability lossy)", fix)
    } else {
        failed(check, weak, fix)
    }
}

fn memory(found: &ProbedRedis) -> Finding {
    let check = "redis memory";
    let used = bytes(found.used_bytes);
    let Some(limit) = found.limit_bytes else {
        return warning(
            check,
            format!("{used} used, and maxmemory is not set"),
            "set maxmemory below the memory of its host: then the API rejects rides in time; without it the OOM killer ends Redis",
        );
    };
    let percent = u128::from(found.used_bytes) * 100 / u128::from(limit.max(1));
    let seen = format!("{used} of {} used ({percent} %)", bytes(limit));
    let fix = "raise maxmemory, or use a larger instance for Redis";
    if percent >= FULL.into() {
        failed(check, seen + ": the API rejects rides", fix)
    } else if percent >= FILLING.into() {
        warning(
            check,
            format!("{seen}; the API rejects rides at {FULL} % or more"),
            fix,
        )
    } else {
        ok(check, seen)
    }
}

fn format(found: &ProbedRedis) -> Finding {
    let check = "redis data";
    match &found.format {
        None => ok(check, "no data of this stack yet"),
        Some(format) if found.is_readable() => ok(check, format!("format {format}")),
        Some(format) => failed(
            check,
            format!("format {format} is newer than this version supports"),
            "run a version that supports it, or use another --stack",
        ),
    }
}
