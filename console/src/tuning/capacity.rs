//! How many nodes a load needs, by what a sweep measured: the workers' saturation, the utilisation up to which the latency held, and
//! the API nodes' use of CPU.

use std::collections::{BTreeMap, BTreeSet};

use skilift_fleet::instance::Instance;
use skilift_tuning::sweep::Config;

use super::record::SweepRecord;
use super::{models, report};
use crate::console::Console;
use crate::error::Error;
use crate::view::capacity::{CapacityOption, CapacityView, OneWorkerLess};
use crate::view::figures::{counted, grouped};
use crate::view::tuning::{PointView, SweepState, SweepView};

/// Most of its cores that an API node may use: beyond this, requests wait for each other.
const MAX_API_CPU: f64 = 0.7;
/// Numbers of workers up to this multiple of the largest measured one are computed.
const FURTHEST: u32 = 2;
/// Largest peak, as a multiple of the average.
const MAX_PEAK: f64 = 1_000.0;
/// Largest rate, in rides per second.
const MAX_RATE: f64 = 1e9;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Rides per second, on average.
    pub(crate) rate_per_s: f64,
    /// How many times as many arrive at the peak.
    pub(crate) peak: f64,
    /// Largest 99th percentile from acceptance to storage, in milliseconds; that of the sweep's objective if `None`.
    pub(crate) p99_ms: Option<f64>,
}

/// The nodes that a load needs, by a sweep; by the newest one that has finished if none is named.
///
/// # Errors
/// If a value is invalid, or there is no such sweep.
pub(crate) fn capacity(
    console: &Console,
    sweep: Option<&str>,
    load: Load,
) -> Result<CapacityView, Error> {
    for (name, value, most) in [
        ("rate", Some(load.rate_per_s), MAX_RATE),
        ("peak", Some(load.peak), MAX_PEAK),
        ("p99_ms", load.p99_ms, f64::MAX),
    ] {
        if value.is_some_and(|value| !(value > 0.0 && value <= most)) {
            return Err(Error::invalid(format!("{name} must be positive")));
        }
    }
    if load.peak < 1.0 {
        return Err(Error::invalid(
            "peak must be at least 1: it is a multiple of the average rate",
        ));
    }
    let sweep = match sweep {
        Some(id) => console.tuning.find(id)?,
        None => newest(console)?,
    };
    let p99_ms = load.p99_ms.or(sweep.spec.objective.p99_ms).ok_or_else(|| {
        Error::invalid(format!(
            "p99_ms is required: the objective of {} has none",
            sweep.id
        ))
    })?;
    let view = report::view(&sweep, None);
    let prices = Prices::now(console);
    Ok(compute(&sweep, &view, load, p99_ms, &prices))
}

fn newest(console: &Console) -> Result<SweepRecord, Error> {
    let all = console
        .tuning
        .table
        .range_back(.., super::MAX_SWEEPS as usize)?;
    let mut all = all.into_iter().map(|(_, sweep)| sweep);
    let finished = all.find(|sweep| sweep.state == SweepState::Finished);
    finished.ok_or_else(|| {
        Error::refused("no sweep has finished yet: start one with `skictl tune run`, or name one that was stopped")
    })
}

/// Prices of the instances of today.
struct Prices {
    /// Type of the workers, if they are alike.
    worker_type: Option<String>,
    /// Of a worker, by its type; without those that are unknown.
    worker_usd_per_h: BTreeMap<String, f64>,
    api_usd_per_h: Option<f64>,
    /// All other running instances together.
    others_usd_per_h: Option<f64>,
}

impl Prices {
    fn now(console: &Console) -> Self {
        let region = crate::fleet::region(console);
        let listed = console.machines.listed().instances;
        let prices = &console.config.prices;
        let by_type = |role: &'static str| {
            let of_role = listed.iter().filter(move |of| of.role == role);
            let types: BTreeMap<&str, &Instance> =
                of_role.map(|of| (of.instance_type.as_str(), of)).collect();
            types
        };
        let price = |of: &Instance| prices.of(of, region.as_deref()).ok();
        let (workers, apis) = (by_type("worker"), by_type("api"));
        let only = |types: &BTreeMap<&str, &Instance>| match types.len() {
            1 => types.values().next().copied().cloned(),
            _ => None,
        };
        let others = listed
            .iter()
            .filter(|of| !of.is_scaled() && of.state.is_up());
        let others: Option<f64> = others
            .map(|instance| prices.of(instance, region.as_deref()).ok())
            .sum();
        Self {
            worker_type: only(&workers).map(|of| of.instance_type),
            worker_usd_per_h: workers
                .into_iter()
                .filter_map(|(of, instance)| Some((of.to_owned(), price(instance)?)))
                .collect(),
            api_usd_per_h: only(&apis).and_then(|of| price(&of)),
            others_usd_per_h: others,
        }
    }

    fn of(&self, workers: u32, worker_type: Option<&str>, api: Option<u32>) -> Option<f64> {
        Some(
            self.worker_usd_per_h.get(worker_type?)? * f64::from(workers)
                + self.api_usd_per_h? * f64::from(api?)
                + self.others_usd_per_h?,
        )
    }
}

fn compute(
    sweep: &SweepRecord,
    view: &SweepView,
    load: Load,
    p99_ms: f64,
    prices: &Prices,
) -> CapacityView {
    let peak_per_s = load.rate_per_s * load.peak;
    let (api, api_note) = api_nodes(view, peak_per_s);
    let mut notes = vec![api_note];
    let mut options = Vec::new();
    let kind = |point: &PointView| {
        let config = point.config;
        (config.worker_type, config.threads, config.batch)
    };
    let kinds: BTreeSet<_> = view.points.iter().map(kind).collect();
    for (worker_type, threads, batch) in kinds {
        let alike = |point: &&PointView| kind(point) == (worker_type, threads, batch);
        let points: Vec<&PointView> = view.points.iter().filter(alike).collect();
        let of = worker_type.map_or_else(String::new, |of| format!("{of}: "));
        let threads_of_one = counted(threads.into(), "thread", "threads");
        let named = format!("{of}{threads_of_one} with batch {batch}");
        let Some(max_utilisation) = max_utilisation(&points, p99_ms) else {
            notes.push(format!("{named}: no measurement within {p99_ms} ms"));
            continue;
        };
        let Some(by_workers) = ByWorkers::of(sweep, &points) else {
            notes.push(format!("{named}: what a worker can store is unknown"));
            continue;
        };
        let enough = (1..=by_workers.furthest())
            .find(|workers| by_workers.saturation(*workers) * max_utilisation >= peak_per_s);
        let Some(workers) = enough else {
            notes.push(format!(
                "{named}: more than {} workers, twice as many as were measured",
                by_workers.furthest()
            ));
            continue;
        };
        let saturation = by_workers.saturation(workers);
        let others = by_workers.saturation(workers - 1);
        let instance_type = match worker_type {
            Some(of) => Some(of.to_string()),
            None => prices.worker_type.clone(),
        };
        let usd_per_h = prices.of(workers, instance_type.as_deref(), api);
        options.push(CapacityOption {
            workers,
            threads,
            batch,
            api,
            instance_type,
            saturation_per_s: saturation,
            max_utilisation,
            capacity_per_s: saturation * max_utilisation,
            margin: saturation * max_utilisation / peak_per_s - 1.0,
            with_one_worker_less: OneWorkerLess {
                capacity_per_s: others * max_utilisation,
                saturation_per_s: others,
                is_enough: others * max_utilisation >= peak_per_s,
                keeps_up: others >= peak_per_s,
            },
            usd_per_h,
            usd_per_million: usd_per_h.map(|usd| usd / (load.rate_per_s * 3_600.0) * 1e6),
            is_measured: points.iter().any(|point| point.config.workers == workers),
        });
    }
    // Without prices the fewest are the cheapest; of equally many those that can store most.
    options.sort_by(|a, b| {
        let usd = |of: &CapacityOption| of.usd_per_h.unwrap_or(f64::INFINITY);
        usd(a)
            .total_cmp(&usd(b))
            .then(a.workers.cmp(&b.workers))
            .then(b.capacity_per_s.total_cmp(&a.capacity_per_s))
    });
    CapacityView {
        sweep: sweep.id.clone(),
        rate_per_s: load.rate_per_s,
        peak: load.peak,
        peak_per_s,
        p99_ms,
        options,
        notes,
    }
}

/// The highest utilisation of a measured point whose latency was within the limit.
fn max_utilisation(points: &[&PointView], p99_ms: f64) -> Option<f64> {
    let counting = points.iter().filter(|point| point.failed.is_none());
    let of = counting.filter_map(|point| {
        // Of storing, also if the objective of the sweep had another latency: that is what workers change.
        let p99s = point.runs.iter().map(|run| run.accept_to_stored_p99_ms);
        let p99s: Option<Vec<f64>> = p99s.collect();
        let slowest = p99s?.into_iter().reduce(f64::max)?;
        let (stored, saturation) = (point.stored_per_s?.mean, point.saturation_per_s?.mean);
        let is_within = slowest <= p99_ms && saturation > 0.0;
        is_within.then(|| (stored / saturation).min(1.0))
    });
    of.reduce(f64::max)
}

/// What workers can store, by their number.
enum ByWorkers {
    /// By the scalability law.
    Model { rates: Vec<f64> },
    /// In proportion to what one stores: too few numbers were measured for a law.
    Linear { of_one: f64, largest: u32 },
}

impl ByWorkers {
    fn of(sweep: &SweepRecord, points: &[&PointView]) -> Option<Self> {
        let largest = points.iter().map(|point| point.config.workers).max()?;
        let config = points.first()?.config;
        let like = Config {
            api: config.api,
            workers: config.workers,
            threads: config.threads,
            batch: config.batch,
            worker_type: config.worker_type,
        };
        let rates: Option<Vec<f64>> = models::by_workers(sweep, like).map(|model| {
            let numbers = 0..=largest * FURTHEST;
            numbers
                .map(|workers| model.rate(workers.into()).map_or(0.0, |of| of.rate))
                .collect()
        });
        if let Some(rates) = rates {
            return Some(Self::Model { rates });
        }
        let of_one = points.iter().filter_map(|point| {
            Some(point.saturation_per_s?.mean / f64::from(point.config.workers.max(1)))
        });
        // The least able: more workers never store more each.
        let of_one = of_one.reduce(f64::min)?;
        Some(Self::Linear { of_one, largest })
    }

    fn saturation(&self, workers: u32) -> f64 {
        match self {
            Self::Model { rates } => rates.get(workers as usize).copied().unwrap_or(0.0),
            Self::Linear { of_one, .. } => of_one * f64::from(workers),
        }
    }

    fn furthest(&self) -> u32 {
        match self {
            Self::Model { rates } => u32::try_from(rates.len().saturating_sub(1)).unwrap_or(0),
            Self::Linear { largest, .. } => largest * FURTHEST,
        }
    }
}

/// The API nodes for a rate, by the CPU time of a ride, and a note on that.
fn api_nodes(view: &SweepView, peak_per_s: f64) -> (Option<u32>, String) {
    let runs = view.points.iter().flat_map(|point| {
        point
            .runs
            .iter()
            .map(move |run| (f64::from(point.config.api), run))
    });
    // The busiest measurement: there what does not depend on the rate weighs least.
    let busiest = runs
        .filter(|(_, run)| run.accepted_per_s.is_some_and(|rate| rate > 0.0))
        .max_by(|(_, a), (_, b)| {
            let rate = |of: Option<f64>| of.unwrap_or_default();
            rate(a.accepted_per_s).total_cmp(&rate(b.accepted_per_s))
        });
    let found = busiest.and_then(|(nodes, run)| {
        let (rate, used) = (run.accepted_per_s?, run.api_cores?);
        let cores_of_one = run.api_cores_available? / nodes.max(1.0);
        (used > 0.0).then(|| rate / used * cores_of_one * MAX_API_CPU)
    });
    match found {
        Some(of_one) => (
            Some((peak_per_s / of_one).ceil().min(f64::from(u32::MAX)) as u32),
            format!(
                "API nodes: {} rides/s each, at {:.0} % of their cores",
                grouped(of_one.round() as u64),
                MAX_API_CPU * 100.0
            ),
        ),
        None => (None, "API nodes: their use of CPU is unknown".to_owned()),
    }
}
