//! The state at one moment, and the answers that are made from it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use crate::view::aging::Aging;
use crate::view::nodes::NodesView;
use crate::view::queue::QueueView;

/// How long an answer may be reused, in milliseconds: there may be hundreds of requests per second.
const REUSE_MS: u64 = 100;

/// The state at one moment. It never changes: ages are computed when an answer is made.
pub(crate) struct Snapshot {
    /// When it was collected, by the monotonic clock, in milliseconds.
    at: u64,
    pub(crate) queue: QueueView,
    pub(crate) nodes: NodesView,
    queue_json: Rendered,
    nodes_json: Rendered,
}

/// The last answer, and when it was made.
type Rendered = Mutex<Option<(u64, Bytes)>>;

impl Snapshot {
    /// A snapshot of views that were collected at `at`.
    pub(super) fn new(at: u64, queue: QueueView, nodes: NodesView) -> Arc<Self> {
        Arc::new(Self {
            at,
            queue,
            nodes,
            queue_json: Rendered::default(),
            nodes_json: Rendered::default(),
        })
    }

    /// The queue as JSON, with its ages as of `now`.
    pub(super) fn queue_json(&self, now: u64) -> Bytes {
        rendered(&self.queue_json, now, || self.aged(&self.queue, now))
    }

    /// The nodes as JSON, with their ages as of `now`.
    pub(super) fn nodes_json(&self, now: u64) -> Bytes {
        rendered(&self.nodes_json, now, || self.aged(&self.nodes, now))
    }

    /// A part of it, with its ages as of `now`.
    pub(super) fn aged<T: Aging + Clone>(&self, part: &T, now: u64) -> T {
        let mut part = part.clone();
        part.age_by(now.saturating_sub(self.at));
        part
    }
}

fn rendered<T: Serialize>(last: &Rendered, now: u64, view: impl FnOnce() -> T) -> Bytes {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((at, json)) if now.saturating_sub(*at) < REUSE_MS => json.clone(),
        _ => {
            // Names, numbers and text always serialise.
            let json = Bytes::from(serde_json::to_vec(&view()).unwrap_or_default());
            *last = Some((now, json.clone()));
            json
        }
    }
}
