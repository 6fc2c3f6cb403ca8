//! Checks of the stack's nodes, from their heartbeats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skilift_console::view::figures::counted;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{ControlChannel, Heartbeat, NodeId, RedisControlChannel};
use skilift_core::health::Readiness;
use skilift_core::lifecycle::chain;
use skilift_core::stack::StackName;
use skilift_core::store::Reader as _;
use skilift_core::store::redis::Store;

use super::findings::{Finding, clock, failed, not_checked, ok, warning};
use crate::config::Servers;

/// How long to listen for heartbeats; each node sends one per second.
const LISTEN: Duration = Duration::from_millis(2_500);

/// The last heartbeat of each node, and how far its clock is ahead of ours, less the transmission time.
type Heard = BTreeMap<NodeId, (Heartbeat, i64)>;

pub(super) async fn check(servers: &Servers, stack: &StackName) -> Vec<Finding> {
    let heard = match listen(servers, stack).await {
        Ok(heard) => heard,
        Err(error) if error.is_refused() => {
            return vec![failed(
                "nodes",
                chain(&error),
                format!(
                    "give the user in --redis-url the channels of the stack: ACL SETUSER NAME &{{{stack}}}:*; heartbeats come through them"
                ),
            )];
        }
        Err(error) => return vec![not_checked("nodes", chain(&error))],
    };
    if heard.is_empty() {
        return vec![warning(
            "nodes",
            format!("no heartbeat within {LISTEN:?}"),
            "start `skictl serve api` and `skictl serve worker`, or `skictl up`",
        )];
    }
    let mut findings = vec![
        ok(
            "nodes",
            counted(
                heard.len() as u64,
                "node sends heartbeats",
                "nodes send heartbeats",
            ),
        ),
        versions(&heard),
    ];
    findings.extend(emptied(servers, stack, &heard).await);
    for (node, (beat, ahead_ms)) in &heard {
        let check = format!("node {node}");
        if beat.health.status != Readiness::Ready {
            let why = beat.health.message.clone().unwrap_or_default();
            let state = format!("{:?}", beat.health.status).to_lowercase();
            findings.push(warning(
                check.clone(),
                format!("{state}: {why}"),
                "see the log of the node",
            ));
        }
        findings.push(clock(&check, "its clock", *ahead_ms));
    }
    findings
}

/// Whether Redis still has what the workers have stored since they started. Its counts are read after the heartbeats, so they are
/// never smaller, unless it was emptied, or restored from a copy.
async fn emptied(servers: &Servers, stack: &StackName, heard: &Heard) -> Option<Finding> {
    let check = "redis content";
    let stored: u64 = heard
        .values()
        .filter_map(|(beat, _)| match &beat.report {
            Report::Worker(worker) => Some(worker.applied_rides),
            Report::Api(_) => None,
        })
        .sum();
    let read = async {
        let store = Store::for_reading(servers.redis_url.clone(), stack)?;
        store.reader()?.reconciliation().await
    };
    let has = match read.await {
        Ok(counts) => counts.applied,
        Err(error) => return Some(not_checked(check, chain(&error))),
    };
    let rides = |count: u64| counted(count, "ride", "rides");
    if has >= stored {
        return Some(ok(check, format!("{} stored", rides(has))));
    }
    let found = format!(
        "{} stored, but the running workers have stored {}: Redis was emptied, or restored from an older copy",
        rides(has),
        rides(stored)
    );
    let fix = "restore the newest copy of its append-only file, then have the gates send the missing days again";
    Some(failed(check, found, fix))
}

async fn listen(
    servers: &Servers,
    stack: &StackName,
) -> Result<Heard, skilift_core::control::ControlError> {
    let control_channel = RedisControlChannel::new(&servers.redis_url, stack)?;
    let mut beats = control_channel.heartbeats().await?;
    let mut heard = Heard::new();
    let listening = async {
        while let Some(beat) = beats.recv().await {
            let ahead_ms = beat.sent_at_ms.cast_signed() - epoch_ms().cast_signed();
            heard.insert(beat.node.clone(), (beat, ahead_ms));
        }
    };
    // Ends at the timeout, or earlier if the connection closes.
    let _ = tokio::time::timeout(LISTEN, listening).await;
    Ok(heard)
}

fn versions(heard: &Heard) -> Finding {
    let ours = env!("CARGO_PKG_VERSION");
    let mut versions: BTreeSet<&str> = heard
        .values()
        .map(|(beat, _)| beat.version.as_str())
        .collect();
    let is_one = versions.len() == 1;
    if is_one && versions.contains(ours) {
        return ok("versions", format!("all nodes and this skictl are {ours}"));
    }
    versions.insert(ours);
    let all: Vec<&str> = versions.into_iter().collect();
    warning(
        "versions",
        format!("nodes and this skictl differ: {}", all.join(", ")),
        "finish the upgrade: workers first, then API nodes, then the console",
    )
}
