//! Collects all state once a second for every reader: a query only returns what was collected last.
//!
//! - `monitor`: the collected state and the latest snapshot. `collectors`: what is polled over the network, each in its own task, so that one that does not answer does not block the
//!   others; `readings`: what they read last.
//! - `queue`, `backlog`, `reconciliation`, `nodes`, `node_events`, `alarms`: what is derived from it; `snapshot`: all of that at one moment; `metrics`: the same for Prometheus. `conflicts`: detects other consoles that manage the same
//!   stack.

mod alarms;
mod backlog;
mod collectors;
mod conflicts;
mod metrics;
pub(crate) mod monitor;
mod node_events;
mod nodes;
mod queue;
mod raised;
mod readings;
mod reconciliation;
mod snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::{epoch_ms, full_second};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use skilift_core::lifecycle::TaskError;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::console::Console;
use crate::producer_epochs::REPLAY_PUBLISHER;
use monitor::{MonitorState, START_MS};
use snapshot::Snapshot;

/// How long after a full second everything is collected: heartbeats and answers of that second have arrived, so that all figures
/// are of one moment.
const ARRIVAL: Duration = Duration::from_millis(250);
/// How often the console's directory is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
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
            watch_directory(&console),
            prune_expired(&console),
            async { Ok(collectors::receive_heartbeats(&console).await) },
            async { Ok(collectors::poll_queue_depth(&console).await) },
            async { Ok(collectors::poll_reconciliation(&console).await) },
        )
    };
    if let Some(ended) = drain.run_until_cancelled(collecting).await {
        ended?;
    }
    // The next console process needs the last high-water marks for reconciliation.
    write(&console).await?;
    Ok(())
}

async fn collect_each_second(console: &Console) -> Result<Infallible, TaskError> {
    loop {
        record(console)?;
        full_second().await;
        tokio::time::sleep(ARRIVAL).await;
    }
}

/// Collects the current state, and adds it to the history.
fn record(console: &Console) -> Result<(), DiskError> {
    let queue = &refresh(console)?.queue;
    let mut state = console.monitor.state();
    let changes = state.history.add(queue::point(queue), queue::totals(queue));
    drop(state);
    console.monitor.unwritten().append(changes);
    Ok(())
}

/// Writes what was collected: now and then, and at once what must outlive a crash.
async fn write_collected(console: &Console) -> Result<Infallible, TaskError> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(WRITE_INTERVAL) => {}
            () = console.monitor.write_now.notified() => {}
        }
        write(console).await?;
        audit::unauthenticated::record_left_out(console).await?;
    }
}

/// Ends if the console's directory was removed: what is written to it is lost.
async fn watch_directory(console: &Console) -> Result<Infallible, TaskError> {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        console.state.check_directory().await?;
    }
}

/// Collects the current state; also called after a change, so that the next query shows it.
pub(crate) fn refresh(console: &Console) -> Result<Arc<Snapshot>, DiskError> {
    let monitor = &console.monitor;
    let now = monitor.now();
    let entries = console.state.audit_before(u64::MAX, conflicts::MAX_LINES)?;
    let forgotten = console.state.forgotten_nodes.range(.., usize::MAX)?;
    let mut state = monitor.state();
    let mut collectors = monitor.collectors();
    let at = queue::Timestamps {
        now,
        epoch_ms: epoch_ms(),
    };
    state.conflicts.update(&entries, now);
    state.registry.check_liveness(now);
    let mut done = WriteBatch::default();
    for (name, boot) in forgotten {
        state.registry.forget(&name, boot);
        console.state.forgotten_nodes.remove(&mut done, &name);
    }
    monitor.unwritten().append(done);
    collectors.update_connection(state.registry.is_disconnected(now), now - START_MS);
    let confirmed = console.sources.dead_letter_queue.confirmed();
    state
        .epochs
        .record(REPLAY_PUBLISHER, &confirmed, at.epoch_ms);
    console.roster.set(state.registry.roster(now));
    let nodes = nodes::view(console, &state.registry, &collectors, &at);
    state.node_events.update(&nodes.nodes, at.epoch_ms);
    let queue = queue::view(console, &mut state, &collectors, &at);
    if state.loss_detector.has_changes() {
        // A message that was said to be lost is lost for the next console process too.
        monitor.write_now.notify_one();
    }
    drop(collectors);
    drop(state);
    metrics::record(&queue, &nodes);
    let snapshot = Snapshot::new(now, queue, nodes);
    monitor.latest.send_replace(Some(Arc::clone(&snapshot)));
    Ok(snapshot)
}

async fn write(console: &Console) -> Result<(), DiskError> {
    let mut changes = std::mem::take(&mut *console.monitor.unwritten());
    {
        let now = console.monitor.now();
        let mut state = console.monitor.state();
        let MonitorState { registry, kept, .. } = &mut *state;
        changes.append(kept.take_changes(registry, now, epoch_ms()));
        changes.append(state.epochs.take_changes());
        changes.append(state.node_events.take_changes());
        changes.append(state.loss_detector.take_changes());
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
    let latest = console.monitor.latest();
    let Some(oldest_ms) = latest.and_then(|seen| seen.queue.oldest_ride_age_ms.value) else {
        // What is queued may be of any age.
        return Ok(());
    };
    let oldest_accepted_at_ms = epoch_ms().saturating_sub(oldest_ms);
    let expired = console
        .monitor
        .state()
        .epochs
        .expired(oldest_accepted_at_ms);
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
