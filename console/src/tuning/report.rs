//! The view of a sweep: points with intervals, recommendation, models.

use skilift_core::clock::epoch_ms;
use skilift_tuning::choice::{Candidate, Standing, front, is_same_latency, latency_spread};
use skilift_tuning::interval::{Interval, LatencySpread};
use skilift_tuning::sweep::Config;

use super::record::SweepRecord;
use super::{Now, models, spec};
use crate::view::figures::counted;
use crate::view::tuning::{
    MeasuredFigure, PointStanding, PointView, RecommendationView, RunView, ScalingModel,
    SweepProgress, SweepState, SweepSummary, SweepView,
};

/// A resource that was used for more than this part limits the throughput.
const SATURATED: f64 = 0.85;

/// A load of which this part is stored is stored as a whole.
const STORED: f64 = 0.98;

/// The view of a sweep; `now` is what it is doing.
pub(super) fn view(sweep: &SweepRecord, now: Option<Now>) -> SweepView {
    let before = sweep.before.config;
    let (configs, candidates) = sweep.sweep.candidates();
    let recommended = sweep.sweep.recommended();
    let best = recommended.map(|(best, ..)| best);
    let runner_up = recommended.and_then(|(_, runner_up, _)| runner_up);
    let on_front = front(&candidates);
    let spread = latency_spread(&candidates);
    let mut points: Vec<PointView> = configs
        .iter()
        .zip(&candidates)
        .zip(on_front)
        .map(|((config, candidate), is_on_front)| {
            let standing = match candidate.standing(&spec::objective(&sweep.spec)) {
                _ if best == Some(*config) => PointStanding::Recommended,
                _ if runner_up == Some(*config) => PointStanding::RunnerUp,
                Standing::Meets => PointStanding::Meets,
                Standing::Perhaps => PointStanding::MayMeet,
                Standing::Misses => PointStanding::Misses,
                Standing::Unknown => PointStanding::Unknown,
            };
            PointView {
                standing,
                is_on_front,
                is_current: *config == before,
                ..point(sweep, *config, candidate, spread)
            }
        })
        .collect();
    points.sort_by(|a, b| {
        let cost = |of: &PointView| of.usd_per_million.unwrap_or(f64::INFINITY);
        let nodes = |of: &PointView| (of.config.api + of.config.workers, of.config);
        cost(a).total_cmp(&cost(b)).then(nodes(a).cmp(&nodes(b)))
    });
    let candidate = |config: Config| {
        let place = configs.iter().position(|of| *of == config)?;
        candidates.get(place)
    };
    let recommendation = recommended.map(|(best, runner_up, found)| {
        let both = candidate(best).zip(candidate(before));
        let usd = |of: &Candidate| of.usd_per_million;
        let change = both.and_then(|(best, now)| Some(usd(best)? / usd(now)? - 1.0));
        RecommendationView {
            point: spec::point(best),
            is_certain: found.is_certain,
            runner_up: runner_up.map(spec::point),
            cost_change: change,
            is_latency_different: both
                .filter(|_| best != before)
                .and_then(|(best, now)| is_same_latency(best, now, spread))
                .map(|is_same| !is_same),
        }
    });
    let like = best.unwrap_or(before);
    // Hundreds of fits: not each second for every page that watches it.
    let model = |fit: fn(&SweepRecord, Config) -> ScalingModel| match sweep.state {
        SweepState::Running => ScalingModel {
            error: Some("fitted when the sweep has ended".to_owned()),
            ..ScalingModel::default()
        },
        _ => fit(sweep, like),
    };
    let mut pending = sweep.sweep.pending();
    pending.retain(|config| !configs.contains(config));
    SweepView {
        id: sweep.id.clone(),
        state: sweep.state,
        message: sweep.message.clone(),
        settings_message: sweep.settings_message.clone(),
        spec: sweep.spec.clone(),
        created_by: sweep.created_by.clone(),
        started_at_ms: sweep.started_at_ms,
        ended_at_ms: sweep.ended_at_ms,
        spent_usd: sweep.spent_usd,
        progress: now.map(|now| progress(sweep, &now)),
        before: spec::point(before),
        points,
        pending: pending.into_iter().map(spec::point).collect(),
        recommendation,
        threads_model: model(models::of_threads),
        workers_model: model(models::of_workers),
        bottleneck: bottleneck(sweep),
        environment: sweep.environment.clone(),
    }
}

/// A sweep in a list.
pub(super) fn summary(sweep: &SweepRecord) -> SweepSummary {
    let (configs, candidates) = sweep.sweep.candidates();
    let found = sweep.sweep.recommended().map(|(best, ..)| best);
    let place = found.and_then(|best| configs.iter().position(|of| *of == best));
    SweepSummary {
        id: sweep.id.clone(),
        state: sweep.state,
        created_by: sweep.created_by.clone(),
        started_at_ms: sweep.started_at_ms,
        runs_done: sweep.runs.len(),
        points: configs.len(),
        recommended: found.map(spec::point),
        usd_per_million: place.and_then(|place| candidates[place].usd_per_million),
    }
}

fn point(
    sweep: &SweepRecord,
    config: Config,
    candidate: &Candidate,
    spread: LatencySpread,
) -> PointView {
    let runs: Vec<RunView> = sweep
        .runs
        .iter()
        .filter(|(of, _)| *of == config)
        .map(|(_, run)| run.clone())
        .collect();
    let saturations: Vec<f64> = runs
        .iter()
        .filter_map(|run| models::saturation(run).map(|(rate, _)| rate))
        .collect();
    let saturation = figure(&saturations, Interval::of_next(&saturations));
    // A measurement that failed shows its rate all the same.
    let rates: Vec<f64> = match candidate.stored_per_s.as_slice() {
        [] => runs.iter().filter_map(|run| run.stored_per_s).collect(),
        rates => rates.to_vec(),
    };
    PointView {
        config: spec::point(config),
        standing: PointStanding::Unknown,
        is_on_front: false,
        is_current: false,
        failed: candidate.failed.clone(),
        stored_per_s: figure(&rates, Interval::of_next(&rates)),
        p99_ms: figure(&candidate.p99_ms, candidate.p99_interval(spread)),
        with_one_worker_less_per_s: saturation.map(|of| {
            let workers = f64::from(config.workers.max(1));
            of.mean * (workers - 1.0) / workers
        }),
        saturation_per_s: saturation,
        usd_per_h: candidate.usd_per_h,
        usd_per_million: candidate.usd_per_million,
        cpu_s_per_million: candidate.cpu_s_per_million,
        runs,
    }
}

fn figure(values: &[f64], interval: Option<Interval>) -> Option<MeasuredFigure> {
    (!values.is_empty()).then(|| MeasuredFigure {
        mean: skilift_tuning::interval::mean(values),
        // No rate is below zero.
        low: interval.map(|of| of.low.max(0.0)),
        high: interval.map(|of| of.high),
    })
}

fn progress(sweep: &SweepRecord, now: &Now) -> SweepProgress {
    let left = sweep.sweep.left();
    let took: Vec<f64> = sweep.runs.iter().map(|(_, run)| run.took_s).collect();
    let left_s = (!took.is_empty()).then(|| skilift_tuning::interval::mean(&took) * left as f64);
    let costs: Option<Vec<f64>> = sweep.runs.iter().map(|(_, run)| run.usd_per_h).collect();
    let usd_per_h = costs.filter(|costs| !costs.is_empty());
    let usd_per_h = usd_per_h.map(|costs| skilift_tuning::interval::mean(&costs));
    SweepProgress {
        phase: now.phase,
        phase_ms: epoch_ms().saturating_sub(now.since_ms),
        phase_length_ms: now.length_ms,
        point: now.run.map(|run| spec::point(run.config)),
        repeat: now.run.map_or(0, |run| run.repeat),
        runs_done: sweep.runs.len(),
        runs_left: left,
        left_s: left_s.map(|s| s.round() as u64),
        left_usd: left_s.zip(usd_per_h).map(|(s, usd)| s / 3_600.0 * usd),
    }
}

/// What limits the throughput, by the measurement that stored most.
fn bottleneck(sweep: &SweepRecord) -> Option<String> {
    let rate = |run: &RunView| run.stored_per_s.unwrap_or_default();
    let (config, run) = sweep
        .runs
        .iter()
        .max_by(|(_, a), (_, b)| rate(a).total_cmp(&rate(b)))?;
    let busy = run.busy?;
    let share = |used: Option<f64>, available: Option<f64>| {
        let both = used.zip(available.filter(|cores| *cores > 0.0));
        both.map(|(used, available)| used / available)
    };
    let workers = share(run.worker_cores, run.worker_cores_available);
    let apis = share(run.api_cores, run.api_cores_available);
    let is_saturated = |share: Option<f64>| share.is_some_and(|share| share >= SATURATED);
    let offered = sweep
        .spec
        .load
        .rate
        .filter(|_| sweep.spec.load.bulk.is_none());
    let is_stored =
        offered.is_some_and(|offered| rate(run) >= offered * STORED && busy < SATURATED);
    let says = match () {
        () if is_stored => "not reached: the load was stored",
        () if is_saturated(workers) => "the CPU of the workers: more workers store more",
        () if is_saturated(apis) => "the CPU of the API nodes: more API nodes accept more",
        () if busy >= SATURATED => {
            "the threads of the workers, which wait for Redis: more threads store more, as long as Redis keeps up"
        }
        () => "neither threads nor CPU of the nodes: look at RabbitMQ, Redis and the load itself",
    };
    let cores = |used: Option<f64>, available: Option<f64>| {
        let used = format!("{:.2}", used.unwrap_or_default());
        match available {
            Some(available) => format!("{used} of {available:.0} cores"),
            None => format!("{used} cores"),
        }
    };
    let threads = u64::from(config.workers * config.threads);
    Some(format!(
        "{says} (at {:.0} rides/s {} busy for {:.0} % of the time; workers used {}, API nodes {})",
        rate(run),
        counted(threads, "worker thread was", "worker threads were"),
        busy * 100.0,
        cores(run.worker_cores, run.worker_cores_available),
        cores(run.api_cores, run.api_cores_available),
    ))
}
