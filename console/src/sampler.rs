//! Collects all state once a second for every reader: a query only returns what was collected last.
//!
//! - `monitor`: the collected state and the latest snapshot. `collectors`: what is polled over the network, each in its own task, so that one that does not answer does not block the
//!   others; `readings`: what they read last.
//! - `queue`, `reconciliation`, `nodes`, `alarms`: what is derived from it; `snapshot`: all of that at one moment. `conflicts`: detects other consoles that manage the same
//!   stack.

mod alarms;
mod collectors;
mod conflicts;
pub(crate) mod monitor;
mod nodes;
mod queue;
mod raised;
mod readings;
mod reconciliation;
mod snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::TaskError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::producer_epochs::REPLAY_PUBLISHER;
use crate::view::queue::HistoryPoint;
use monitor::{MonitorState, START_MS};
use snapshot::Snapshot;

/// Collection interval.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the history, the nodes and the high-water marks of the publisher channels are written.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// How often expired epochs of publisher channels are pruned.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Collects until `drain`.
pub(crate) async fn run(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let collecting = async {
        // Each by itself: a slow disk or a server that does not answer never delays the next snapshot.
        tokio::try_join!(
            collect_each_second(&console),
            write_collected(&console),
            prune_expired(&console),
            async { Ok(collectors::receive_heartbeats(&console).await) },
            async { Ok(collectors::poll_queue_depth(&console).await) },
            async { Ok(collectors::poll_reconciliation(&console).await) },
        )
    };
    let ended = drain.run_until_cancelled(collecting).await;
    // The next console process needs the last high-water marks for reconciliation.
    write(&console).await?;
    match ended {
        Some(Err(error)) => Err(error),
        _ => Ok(()),
    }
}

async fn collect_each_second(console: &Console) -> Result<Infallible, TaskError> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let point = refresh(console)?;
        let changes = console.monitor.state().history.add(point);
        console.monitor.unwritten().append(changes);
    }
}

/// Writes what was collected.
async fn write_collected(console: &Console) -> Result<Infallible, TaskError> {
    loop {
        tokio::time::sleep(WRITE_INTERVAL).await;
        write(console).await?;
    }
}

/// Collects the current state; also called after a change, so that the next query shows it.
pub(crate) fn refresh(console: &Console) -> Result<HistoryPoint, DiskError> {
    let monitor = &console.monitor;
    let now = monitor.now();
    let audit = console.state.audit_before(u64::MAX, conflicts::MAX_LINES)?;
    let mut state = monitor.state();
    let mut collectors = monitor.collectors();
    let at = queue::Timestamps {
        now,
        epoch_ms: epoch_ms(),
    };
    state.conflicts.update(&audit, now);
    state.registry.check_liveness(now);
    collectors.update_connection(state.registry.is_disconnected(now), now - START_MS);
    let confirmed = console.sources.dead_letter_queue.confirmed();
    state
        .epochs
        .record(REPLAY_PUBLISHER, &confirmed, at.epoch_ms);
    console.roster.set(state.registry.roster(now));
    let nodes = nodes::view(console, &state.registry, &collectors, &at);
    let queue = queue::view(console, &mut state, &collectors, &at);
    drop(collectors);
    drop(state);
    let point = queue::point(&queue);
    let snapshot = Snapshot::new(now, queue, nodes);
    monitor.latest.send_replace(Some(snapshot));
    Ok(point)
}

async fn write(console: &Console) -> Result<(), DiskError> {
    let mut changes = std::mem::take(&mut *console.monitor.unwritten());
    {
        let now = console.monitor.now();
        let mut state = console.monitor.state();
        let MonitorState { registry, kept, .. } = &mut *state;
        changes.append(kept.take_changes(registry, now, epoch_ms()));
        changes.append(state.epochs.take_changes());
    }
    if changes.is_empty() {
        return Ok(());
    }
    let doing = "write the collected state";
    console.state.commit(doing, changes, Vec::new()).await
}

/// Prunes epochs of publisher channels that ended long ago and have no missing messages.
async fn prune_expired(console: &Console) -> Result<Infallible, TaskError> {
    loop {
        tokio::time::sleep(PRUNE_INTERVAL).await;
        if !console.config.read_only {
            prune_once(console).await?;
        }
    }
}

async fn prune_once(console: &Console) -> Result<(), DiskError> {
    let expired = console.monitor.state().epochs.expired(epoch_ms());
    for epoch in expired {
        // One by one, so that it is known which were pruned.
        match console.sources.reader.prune_epochs(&[epoch]).await {
            Ok(0) => {}
            Ok(_) => {
                let changes = console.monitor.state().epochs.prune(&[epoch]);
                let doing = "prune a finished publisher channel";
                console.state.commit(doing, changes, Vec::new()).await?;
            }
            Err(error) => {
                tracing::debug!("cannot prune finished publisher channels yet: {error}");
                return Ok(());
            }
        }
    }
    Ok(())
}
