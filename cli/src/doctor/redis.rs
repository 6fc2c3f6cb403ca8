//! Redis: whether it can be used, keeps what it is told, and has room.

use skilift_core::lifecycle::chain;
use skilift_core::stack::StackName;
use skilift_core::store::StoreError;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::probe::ProbedRedis;

use super::findings::{Finding, clock, failed, ok, warning};
use crate::client::bytes;
use crate::config::Servers;

/// The oldest major version that has all commands that Skilift uses.
const OLDEST: u32 = 7;
/// Shares of the memory, in percent: from the second on the API refuses rides.
const FILLING: u64 = 70;
const FULL: u64 = 85;

pub(super) async fn look(
    servers: &Servers,
    stack: &StackName,
    accept_loss_window: bool,
) -> Vec<Finding> {
    let url = &servers.redis_url;
    let store = match Store::new(url.clone(), stack, 1, true) {
        Ok(store) => store,
        Err(error) => return vec![failed("redis", chain(&error), "mend --redis-url")],
    };
    let found = match store.probe().await {
        Ok(found) => found,
        Err(error) => {
            let fix = match &error {
                StoreError::Refused { .. } => {
                    "check user and password in --redis-url, and what the user's ACL allows"
                }
                StoreError::Connect { .. } => {
                    "start Redis, or mend --redis-url: it must be an address where Redis listens"
                }
                _ => "look at Redis' log, and at what the user's ACL allows",
            };
            return vec![failed("redis", chain(&error), fix)];
        }
    };
    vec![
        if found.is_primary {
            ok("redis", format!("{url} lets us in"))
        } else {
            failed(
                "redis",
                format!("{url} is a replica, which takes no writes"),
                "give the primary's address as --redis-url",
            )
        },
        version(&found.version),
        durability(&found, accept_loss_window),
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
            format!("use Redis {OLDEST} or newer"),
        ),
    }
}

fn durability(found: &ProbedRedis, accept_loss_window: bool) -> Finding {
    let check = "redis durability";
    if !found.last_write_ok {
        return failed(
            check,
            "its last write to the append-only file failed",
            "free space on Redis' disk, and look at its log",
        );
    }
    if found.weaknesses.is_empty() {
        return ok(check, "it keeps what it acknowledges");
    }
    let weak: Vec<String> = found.weaknesses.iter().map(ToString::to_string).collect();
    let weak = format!("acknowledged rides can be lost: {}", weak.join("; "));
    let fix = "set appendonly yes, appendfsync always, no-appendfsync-on-rewrite no and maxmemory-policy noeviction, in redis.conf or by CONFIG SET";
    if accept_loss_window {
        warning(check, weak + " (accepted: --accept-loss-window)", fix)
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
            "set maxmemory below the machine's memory: with it the API refuses rides in time, without it the system kills Redis",
        );
    };
    let percent = u128::from(found.used_bytes) * 100 / u128::from(limit.max(1));
    let seen = format!("{used} of {} used ({percent} %)", bytes(limit));
    let fix = "raise maxmemory, or give Redis a larger machine";
    if percent >= FULL.into() {
        failed(check, seen + ": the API refuses rides", fix)
    } else if percent >= FILLING.into() {
        warning(
            check,
            format!("{seen}; from {FULL} % on the API refuses rides"),
            fix,
        )
    } else {
        ok(check, seen)
    }
}

fn format(found: &ProbedRedis) -> Finding {
    let check = "redis data";
    match &found.format {
        None => ok(check, "none of this stack yet"),
        Some(format) if found.is_readable() => ok(check, format!("format {format}")),
        Some(format) => failed(
            check,
            format!("format {format}, which is newer than this version knows"),
            "run a version that knows it, or use another --stack",
        ),
    }
}
