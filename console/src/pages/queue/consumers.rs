//! The consumers of the queue, by worker.

use crate::pages::html::{Markup, cell, key, per_s, state};
use crate::view::figures::{counted, grouped, span};
use crate::view::queue::{ConsumerView, QueueView};

/// Consumers above which only the totals of each worker are shown.
const MAX_CONSUMERS: usize = 200;

/// The consumers of a worker.
pub(super) struct Worker {
    pub(super) key: String,
    pub(super) node: String,
    pub(super) place: String,
    pub(super) total: Row,
    pub(super) threads: Vec<Row>,
}

pub(super) struct Row {
    pub(super) thread: u32,
    pub(super) ack: String,
    pub(super) unacked: String,
    pub(super) prefetch: String,
    pub(super) last: String,
    pub(super) state: Markup,
}

pub(super) fn consumers(consumers: &[ConsumerView]) -> String {
    let mut nodes: Vec<&str> = consumers.iter().map(|of| &*of.node).collect();
    nodes.dedup();
    let (threads, workers) = (consumers.len() as u64, nodes.len() as u64);
    format!(
        "{} on {}",
        counted(threads, "thread", "threads"),
        counted(workers, "worker", "workers")
    )
}

/// Why there are no consumers.
pub(super) fn idle(queue: &QueueView) -> &'static str {
    match (&queue.paused, queue.utilisation.worker.nodes) {
        (Some(_), 1..) => "Consumption is paused: no worker consumes the queue.",
        (_, 0) => "No worker is up. Start one: skictl serve worker.",
        (None, _) => "Every worker is drained or not ready: no worker consumes the queue.",
    }
}

/// The consumers by worker. Consumers are sorted by node.
pub(super) fn workers(consumers: &[ConsumerView]) -> Vec<Worker> {
    let is_long = consumers.len() > MAX_CONSUMERS;
    let by_node = consumers.chunk_by(|one, other| one.node == other.node);
    by_node
        .map(|of| Worker {
            key: key(&of[0].node),
            node: of[0].node.clone(),
            place: of[0]
                .instance_id
                .clone()
                .unwrap_or_else(|| of[0].host.clone()),
            total: total(of),
            threads: if is_long {
                Vec::new()
            } else {
                of.iter().map(consumer).collect()
            },
        })
        .collect()
}

fn total(consumers: &[ConsumerView]) -> Row {
    let rates: Option<f64> = consumers.iter().map(|of| of.ack_per_s.value).sum();
    let unacked: u64 = consumers
        .iter()
        .map(|of| u64::from(of.unacked_messages))
        .sum();
    let prefetch: u64 = consumers
        .iter()
        .map(|of| u64::from(of.prefetch_messages))
        .sum();
    let last = consumers.iter().filter_map(|of| of.last_ack_age_ms).min();
    let blocked = consumers.iter().find(|of| of.blocked_reason.is_some());
    Row {
        thread: 0,
        ack: rates.map_or_else(|| "unknown".to_owned(), per_s),
        unacked: grouped(unacked),
        prefetch: grouped(prefetch),
        last: ago(last),
        state: consumer_state(blocked.unwrap_or(&consumers[0])),
    }
}

fn consumer(of: &ConsumerView) -> Row {
    Row {
        thread: of.thread,
        ack: cell(&of.ack_per_s, per_s),
        unacked: grouped(of.unacked_messages.into()),
        prefetch: grouped(of.prefetch_messages.into()),
        last: ago(of.last_ack_age_ms),
        state: consumer_state(of),
    }
}

fn ago(ms: Option<u64>) -> String {
    ms.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", span(ms)))
}

/// The state of a consumer.
pub(in crate::pages) fn consumer_state(of: &ConsumerView) -> Markup {
    if of.is_stale() {
        return state("idle", "last known", "unknown");
    }
    match (of.lost, &of.blocked_reason) {
        (true, _) => state("bad", "lost", "lost"),
        (false, Some(_)) => state("warn", "blocked", "warn"),
        (false, None) => state("ok", "active", "ok"),
    }
}
