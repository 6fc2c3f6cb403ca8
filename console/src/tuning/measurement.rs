//! One measurement, from the counters in heartbeats: each node's own growth over its own clock.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{BootId, Durations, Heartbeat, NodeId, Role};

use crate::registry::LOST_AFTER_MS;

/// A node that has not been heard for this long at the end, or not by this time after the start, was not there all the time: it is
/// lost. On a busy machine heartbeats come seconds late.
const HEARD_WITHIN_MS: u64 = LOST_AFTER_MS;
/// The slowest storing that histograms tell apart, in milliseconds: an hour.
const MAX_MS: u64 = 3_600_000;

/// Everything that was heard since it began.
pub(crate) struct Measurement {
    began_at: u64,
    nodes: BTreeMap<NodeId, Heard>,
    /// Times from acceptance to storage, in milliseconds.
    stored_ms: Histogram<u64>,
    /// Durations of POSTs, in microseconds.
    post_us: Histogram<u64>,
}

/// A node's first and last counters.
struct Heard {
    boot: BootId,
    role: Role,
    host: String,
    first: Counters,
    last: Counters,
    /// Time of the first and the last heartbeat, by the console's clock.
    first_at: u64,
    last_at: u64,
    has_restarted: bool,
    has_stopped: bool,
}

/// Counters of one heartbeat.
#[derive(Clone, Copy)]
struct Counters {
    sent_at_ms: u64,
    cpu_ms: u64,
    cores: u64,
    /// Rides accepted by an API node, or stored by a worker.
    rides: u64,
    reads: u64,
    busy_ms: u64,
    threads: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    pub(crate) accepted_per_s: f64,
    pub(crate) stored_per_s: f64,
    pub(crate) reads_per_s: f64,
    /// Part of the time for which worker threads were busy, 0 to 1.
    pub(crate) busy: f64,
    pub(crate) worker_cores: f64,
    pub(crate) api_cores: f64,
    /// Cores that they may use; `None` if a node does not know.
    pub(crate) worker_cores_available: Option<f64>,
    pub(crate) api_cores_available: Option<f64>,
    pub(crate) stored_p50_ms: Option<f64>,
    pub(crate) stored_p99_ms: Option<f64>,
    pub(crate) post_p99_ms: Option<f64>,
}

impl Measurement {
    /// Begins now, by the console's clock.
    pub(crate) fn begin(now: u64) -> Self {
        let up_to = |most| Histogram::new_with_max(most, 3).expect("3 digits are valid");
        Self {
            began_at: now,
            nodes: BTreeMap::new(),
            stored_ms: up_to(MAX_MS),
            post_us: up_to(MAX_MS * 1_000),
        }
    }

    /// Adds a heartbeat. The first one of each node is only where its counters begin.
    pub(crate) fn record(&mut self, heartbeat: &Heartbeat, now: u64) {
        if heartbeat.activity == Activity::Stopped {
            if let Some(known) = self.nodes.get_mut(&heartbeat.node) {
                known.has_stopped = true;
            }
            return;
        }
        let counters = Counters::of(heartbeat);
        let Some(known) = self.nodes.get_mut(&heartbeat.node) else {
            let heard = Heard {
                boot: heartbeat.boot_id,
                role: heartbeat.role(),
                host: heartbeat.host.clone(),
                first: counters,
                last: counters,
                first_at: now,
                last_at: now,
                has_restarted: false,
                has_stopped: false,
            };
            self.nodes.insert(heartbeat.node.clone(), heard);
            return;
        };
        if known.boot != heartbeat.boot_id {
            known.has_restarted = true;
            return;
        }
        if counters.sent_at_ms <= known.last.sent_at_ms {
            return;
        }
        (known.last, known.last_at) = (counters, now);
        let (durations, all) = match &heartbeat.report {
            Report::Worker(worker) => (&worker.accept_to_stored_ms, &mut self.stored_ms),
            Report::Api(api) => (&api.post_us, &mut self.post_us),
        };
        if let Some(of_one) = durations
            .as_deref()
            .and_then(|text| Durations::read(text).ok())
        {
            for step in of_one.iter_recorded() {
                all.saturating_record_n(step.value_iterated_to(), step.count_at_value());
            }
        }
    }

    /// The rides that were accepted since it began, by those counters.
    pub(crate) fn accepted(&self) -> u64 {
        let apis = self.nodes.values().filter(|node| node.role == Role::Api);
        apis.map(|node| node.last.rides.saturating_sub(node.first.rides))
            .sum()
    }

    /// The reads that were answered since it began.
    pub(crate) fn reads(&self) -> u64 {
        let apis = self.nodes.values().filter(|node| node.role == Role::Api);
        apis.map(|node| node.last.reads.saturating_sub(node.first.reads))
            .sum()
    }

    /// What was measured until now.
    ///
    /// # Errors
    /// If a node was not there all the time.
    pub(crate) fn figures(&self, now: u64) -> Result<Figures, String> {
        for (id, node) in &self.nodes {
            if node.has_restarted {
                return Err(format!("{id} restarted during the measurement"));
            }
            if node.has_stopped {
                return Err(format!("{id} stopped during the measurement"));
            }
            if node.first_at > self.began_at + HEARD_WITHIN_MS {
                return Err(format!("{id} started during the measurement"));
            }
            if node.last_at + HEARD_WITHIN_MS < now {
                return Err(format!(
                    "no heartbeat from {id} at the end of the measurement"
                ));
            }
            if node.last.sent_at_ms <= node.first.sent_at_ms {
                return Err(format!(
                    "only one heartbeat from {id} during the measurement"
                ));
            }
        }
        let of_role = |role| self.nodes.values().filter(move |node| node.role == role);
        for role in [Role::Api, Role::Worker] {
            if of_role(role).next().is_none() {
                return Err(crate::lag::no_node(role));
            }
        }
        let per_s = |role, count: fn(&Counters) -> u64| -> f64 {
            of_role(role).map(|node| node.per_s(count)).sum()
        };
        let threads: f64 = of_role(Role::Worker).map(Heard::threads).sum();
        // Nodes on one host share its cores.
        let available = |role| {
            let mut hosts = BTreeMap::<&str, u64>::new();
            for node in of_role(role) {
                let cores = hosts.entry(&node.host).or_default();
                *cores = node.last.cores.max(*cores);
            }
            let known = hosts
                .values()
                .map(|cores| (*cores > 0).then_some(*cores as f64));
            known.sum::<Option<f64>>()
        };
        let at = |all: &Histogram<u64>, quantile, per_ms: f64| {
            (!all.is_empty()).then(|| all.value_at_quantile(quantile) as f64 / per_ms)
        };
        Ok(Figures {
            accepted_per_s: per_s(Role::Api, |of| of.rides),
            stored_per_s: per_s(Role::Worker, |of| of.rides),
            reads_per_s: per_s(Role::Api, |of| of.reads),
            busy: (per_s(Role::Worker, |of| of.busy_ms) / 1_000.0 / threads.max(1.0)).min(1.0),
            worker_cores: per_s(Role::Worker, |of| of.cpu_ms) / 1_000.0,
            api_cores: per_s(Role::Api, |of| of.cpu_ms) / 1_000.0,
            worker_cores_available: available(Role::Worker),
            api_cores_available: available(Role::Api),
            stored_p50_ms: at(&self.stored_ms, 0.5, 1.0),
            stored_p99_ms: at(&self.stored_ms, 0.99, 1.0),
            post_p99_ms: at(&self.post_us, 0.99, 1_000.0),
        })
    }
}

impl Heard {
    /// Growth of a counter per second of the node's own clock.
    fn per_s(&self, count: fn(&Counters) -> u64) -> f64 {
        let grown = count(&self.last).saturating_sub(count(&self.first));
        let ms = self.last.sent_at_ms.saturating_sub(self.first.sent_at_ms);
        grown as f64 * 1_000.0 / ms.max(1) as f64
    }

    fn threads(&self) -> f64 {
        self.last.threads as f64
    }
}

impl Counters {
    fn of(heartbeat: &Heartbeat) -> Self {
        let (rides, reads, busy_ms, threads) = match &heartbeat.report {
            Report::Api(api) => (api.accepted_rides, api.reads, 0, u64::from(api.channels)),
            Report::Worker(worker) => (
                worker.acked_rides,
                0,
                worker.busy_ms,
                worker.consumers.len() as u64,
            ),
        };
        Self {
            sent_at_ms: heartbeat.sent_at_ms,
            cpu_ms: heartbeat.cpu_ms,
            cores: heartbeat.cores,
            rides,
            reads,
            busy_ms,
            threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::{api, worker};

    /// A measurement of an API node and two workers over ten seconds, with each worker's messages per second.
    fn measured(per_s: [u64; 2]) -> (Measurement, [BootId; 2]) {
        let boots = [BootId::random(), BootId::random()];
        let of_api = BootId::random();
        let mut measurement = Measurement::begin(1_000);
        for second in 0..=10 {
            let (now, sent) = (1_300 + second * 1_000, 50_000 + second * 1_000);
            measurement.record(&api(9, of_api, 1, sent, 400 + second * 12), now);
            for (place, boot) in boots.into_iter().enumerate() {
                let port = u16::try_from(place).unwrap() + 1;
                // Its clock is an hour ahead, which changes nothing.
                let sent = sent + 3_600_000;
                let taken = 700 + second * per_s[place];
                measurement.record(&worker(port, boot, 1, sent, taken), now);
            }
        }
        (measurement, boots)
    }

    #[test]
    fn rates_are_growth_over_each_nodes_own_time() {
        let (measurement, _) = measured([7, 5]);
        let figures = measurement.figures(11_500).unwrap();
        // Ten rides in a message.
        assert!((figures.stored_per_s - 120.0).abs() < 1e-9, "{figures:?}");
        assert!((figures.accepted_per_s - 12.0).abs() < 1e-9, "{figures:?}");
        assert_eq!(measurement.accepted(), 120);
    }

    #[test]
    fn who_was_not_there_all_the_time_spoils_it() {
        let (mut restarted, boots) = measured([7, 5]);
        restarted.record(&worker(1, BootId::random(), 1, 9_000_000, 3), 11_400);
        let why = restarted.figures(11_500).unwrap_err();
        assert!(why.contains("restarted during the measurement"), "{why}");
        let (silent, _) = measured([7, 5]);
        let why = silent.figures(16_500).unwrap_err();
        assert!(why.contains("no heartbeat from"), "{why}");
        let (mut joined, _) = measured([7, 5]);
        joined.record(&worker(5, boots[0], 1, 9_000_000, 3), 9_000);
        let why = joined.figures(11_500).unwrap_err();
        assert!(why.contains("started during the measurement"), "{why}");
        let unheard = Measurement::begin(0);
        assert_eq!(unheard.figures(0).unwrap_err(), "no API node is up");
    }
}
