//! Ages that grow between the collection of a view and the answer that shows it.

use super::Reading;
use super::nodes::{NodeView, NodesView};
use super::queue::{
    ConsumerView, LatencyView, ManagementView, QueueView, RatesView, RoleUtilisationView,
    UtilisationView,
};
use super::reconciliation::ReconciliationView;

/// A view that is answered some time after it was collected.
pub(crate) trait Aging {
    /// Moves the view to `ms` milliseconds later: `at_ms` and all ages grow.
    fn age_by(&mut self, ms: u64);
}

impl Aging for Option<u64> {
    fn age_by(&mut self, ms: u64) {
        if let Some(age) = self {
            *age = age.saturating_add(ms);
        }
    }
}

impl<T> Aging for Reading<T> {
    fn age_by(&mut self, ms: u64) {
        self.age_ms.age_by(ms);
    }
}

impl<T: Aging> Aging for Vec<T> {
    fn age_by(&mut self, ms: u64) {
        self.iter_mut().for_each(|one| one.age_by(ms));
    }
}

// Each field is named, so that a new one with an age cannot be forgotten.

impl Aging for QueueView {
    fn age_by(&mut self, ms: u64) {
        let Self {
            stack: _,
            at_ms,
            engine: _,
            store_durability: _,
            paused: _,
            ready_messages,
            unacked_messages,
            total_messages,
            backlog_rides,
            dead_letters,
            rates,
            oldest_ride_age_ms,
            accept_to_stored_ms,
            trend: _,
            time_to_drain: _,
            utilisation: UtilisationView { api, worker },
            consumers,
            reconciliation,
            management,
            alarms: _,
        } = self;
        *at_ms += ms;
        for reading in [
            ready_messages,
            unacked_messages,
            total_messages,
            backlog_rides,
            dead_letters,
            oldest_ride_age_ms,
        ] {
            reading.age_by(ms);
        }
        rates.age_by(ms);
        accept_to_stored_ms.age_by(ms);
        api.age_by(ms);
        worker.age_by(ms);
        consumers.age_by(ms);
        reconciliation.age_by(ms);
        if let Some(ManagementView { age_ms, .. }) = management {
            age_ms.age_by(ms);
        }
    }
}

impl Aging for RatesView {
    fn age_by(&mut self, ms: u64) {
        let Self {
            publish_per_s,
            deliver_per_s,
            ack_per_s,
            redelivered_per_s,
            reads_per_s,
            rejected_per_s,
            unkeyed_per_s,
        } = self;
        for rate in [
            publish_per_s,
            deliver_per_s,
            ack_per_s,
            redelivered_per_s,
            reads_per_s,
            rejected_per_s,
            unkeyed_per_s,
        ] {
            rate.age_by(ms);
        }
    }
}

impl Aging for LatencyView {
    fn age_by(&mut self, ms: u64) {
        let Self { p50, p95, p99 } = self;
        for quantile in [p50, p95, p99] {
            quantile.age_by(ms);
        }
    }
}

impl Aging for RoleUtilisationView {
    fn age_by(&mut self, ms: u64) {
        let Self {
            nodes: _,
            not_working: _,
            lost: _,
            threads: _,
            busy,
            cpu_cores,
            rss_bytes,
        } = self;
        busy.age_by(ms);
        cpu_cores.age_by(ms);
        rss_bytes.age_by(ms);
    }
}

impl Aging for ConsumerView {
    fn age_by(&mut self, ms: u64) {
        let Self {
            node: _,
            host: _,
            instance_id: _,
            thread: _,
            prefetch_messages: _,
            unacked_messages: _,
            ack_per_s,
            last_ack_age_ms,
            blocked_reason: _,
            lost: _,
            last_heartbeat_age_ms,
        } = self;
        *last_heartbeat_age_ms += ms;
        ack_per_s.age_by(ms);
        last_ack_age_ms.age_by(ms);
    }
}

impl Aging for ReconciliationView {
    fn age_by(&mut self, ms: u64) {
        let Self {
            verdict: _,
            message: _,
            age_ms,
            accepted,
            settled,
            replayed,
            foreign,
            applied,
            duplicate,
            dead_letters,
            discarded,
            outstanding,
            outstanding_messages,
            lost_messages,
            lost_message_ids: _,
        } = self;
        age_ms.age_by(ms);
        for term in [
            accepted,
            settled,
            replayed,
            foreign,
            applied,
            duplicate,
            dead_letters,
            discarded,
            outstanding,
            outstanding_messages,
            lost_messages,
        ] {
            term.age_by(ms);
        }
    }
}

impl Aging for NodesView {
    fn age_by(&mut self, ms: u64) {
        let Self { at_ms, nodes } = self;
        *at_ms += ms;
        nodes.age_by(ms);
    }
}

impl Aging for NodeView {
    fn age_by(&mut self, ms: u64) {
        self.last_heartbeat_age_ms += ms;
        self.busy.age_by(ms);
        self.rides_per_s.age_by(ms);
        self.rejected_per_s.age_by(ms);
        self.latency.age_by(ms);
        self.cpu_cores.age_by(ms);
    }
}
