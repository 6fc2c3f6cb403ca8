//! The scalability law of the measured points: saturation against threads, and against workers.

use skilift_tuning::model::Model;
use skilift_tuning::sweep::Config;
use skilift_tuning::usl::{FitError, Measured};

use super::record::SweepRecord;
use crate::view::figures::grouped;
use crate::view::tuning::{CurvePoint, MeasuredFigure, RunView, ScalingModel, ScalingPoint};

/// Below this part of the time a thread's work is too little to tell what it could do.
const LEAST_BUSY: f64 = 0.05;
/// Below this part of the time an estimate says nothing about how threads hinder each other.
const BUSY_FOR_MODEL: f64 = 0.5;
/// Points of a curve.
const CURVE: u32 = 60;

/// What the workers of a measurement can store, and whether that was measured: they were saturated. Else it is estimated: a worker
/// that was busy for a third of the time could store three times as much.
pub(super) fn saturation(run: &RunView) -> Option<(f64, bool)> {
    let (stored, accepted) = (run.stored_per_s?, run.accepted_per_s?);
    if run.failed.is_some() && stored > 0.0 && accepted > stored {
        return Some((stored, true));
    }
    let busy = run.busy.filter(|busy| *busy >= LEAST_BUSY)?;
    (stored > 0.0).then(|| (stored / busy.min(1.0), false))
}

/// Against the threads of all workers together, of the points with the batch, the API nodes and the instance type of one.
pub(super) fn of_threads(sweep: &SweepRecord, like: Config) -> ScalingModel {
    let of = |config: &Config| {
        let is_like = Config {
            workers: like.workers,
            threads: like.threads,
            ..*config
        } == like;
        is_like.then_some(f64::from(config.workers * config.threads))
    };
    fitted(sweep, of, ["thread", "threads"])
}

/// Against the number of workers, of the points with the threads, the batch and the API nodes of one.
pub(super) fn of_workers(sweep: &SweepRecord, like: Config) -> ScalingModel {
    fitted(sweep, workers_like(like), ["worker", "workers"])
}

/// The law of the number of workers, if there is one.
pub(super) fn by_workers(sweep: &SweepRecord, like: Config) -> Option<Model> {
    Model::fit(&measured(sweep, workers_like(like)), sweep.seed).ok()
}

fn workers_like(like: Config) -> impl Fn(&Config) -> Option<f64> {
    move |config| {
        let is_like = Config {
            workers: like.workers,
            ..*config
        } == like;
        is_like.then_some(f64::from(config.workers))
    }
}

fn measured(sweep: &SweepRecord, number: impl Fn(&Config) -> Option<f64>) -> Vec<Measured> {
    let of = |(config, run): &(Config, RunView)| {
        let (rate, is_measured) = saturation(run)?;
        let is_busy = run.busy.is_some_and(|busy| busy >= BUSY_FOR_MODEL);
        (is_measured || is_busy).then_some(())?;
        Some(Measured {
            n: number(config)?,
            rate,
        })
    };
    sweep.runs.iter().filter_map(of).collect()
}

fn fitted(
    sweep: &SweepRecord,
    number: impl Fn(&Config) -> Option<f64>,
    [one, many]: [&str; 2],
) -> ScalingModel {
    let measured = measured(sweep, number);
    let points = measured.iter().map(|point| ScalingPoint {
        n: point.n,
        rate: point.rate,
    });
    let points = points.collect();
    let model = match Model::fit(&measured, sweep.seed) {
        Ok(model) => model,
        Err(error) => {
            return ScalingModel {
                error: Some(why_not(sweep, &error)),
                measured: points,
                ..ScalingModel::default()
            };
        }
    };
    let usl = &model.usl;
    let figure = |mean: f64, interval: Option<skilift_tuning::interval::Interval>| MeasuredFigure {
        mean,
        low: interval.map(|of| of.low),
        high: interval.map(|of| of.high),
    };
    let intervals = model.intervals;
    let gamma = figure(usl.gamma, intervals.map(|of| of.gamma));
    let alpha = figure(usl.alpha, intervals.map(|of| of.alpha));
    let beta = figure(usl.beta, intervals.map(|of| of.beta));
    let step = (model.furthest() - 1.0) / f64::from(CURVE);
    let curve = (0..=CURVE).filter_map(|place| {
        let n = 1.0 + step * f64::from(place);
        let estimate = model.rate(n)?;
        Some(CurvePoint {
            n,
            rate: estimate.rate,
            low: estimate.interval.map(|of| of.low),
            high: estimate.interval.map(|of| of.high),
        })
    });
    let peak = usl.peak().filter(|peak| *peak <= model.furthest());
    let says = words([one, many], &gamma, &alpha, &beta, peak, model.largest);
    ScalingModel {
        error: None,
        curve: curve.collect(),
        measured: points,
        gamma: Some(gamma),
        alpha: Some(alpha),
        beta: Some(beta),
        r_squared: Some(model.r_squared),
        peak,
        knee: usl.knee(),
        words: Some(says),
    }
}

/// Why there is no model.
fn why_not(sweep: &SweepRecord, error: &FitError) -> String {
    let busy = sweep.runs.iter().filter_map(|(_, run)| run.busy);
    let busiest = busy.fold(0.0, f64::max);
    if busiest > 0.0 && busiest < BUSY_FOR_MODEL {
        let todo = match sweep.spec.load.rate {
            Some(_) => "use a higher rate, or none for as many requests as are answered",
            None => {
                "the load itself or the API reached a limit first: send it from another host, or use `bulk`"
            }
        };
        return format!(
            "worker threads were busy for at most {:.0} % of the time; {todo}",
            busiest * 100.0
        );
    }
    error.to_string()
}

fn words(
    [one, many]: [&str; 2],
    gamma: &MeasuredFigure,
    alpha: &MeasuredFigure,
    beta: &MeasuredFigure,
    peak: Option<f64>,
    largest: f64,
) -> String {
    let rate = |rate: f64| grouped(rate.max(0.0).round() as u64);
    let percent = |part: f64| format!("{:.2} %", part * 100.0);
    let with = |of: &MeasuredFigure, show: &dyn Fn(f64) -> String| match (of.low, of.high) {
        (Some(low), Some(high)) => format!("{} ({} to {})", show(of.mean), show(low), show(high)),
        _ => show(of.mean),
    };
    let peak = match peak {
        Some(peak) => format!("the peak is at {} {many}", peak.round()),
        None => "no peak within what was measured".to_owned(),
    };
    format!(
        "One {one} stores {} rides/s; contention {}, coherency {}; {peak}. Beyond {} {many} the curve is extrapolated.",
        with(gamma, &rate),
        with(alpha, &percent),
        with(beta, &percent),
        largest.round(),
    )
}
