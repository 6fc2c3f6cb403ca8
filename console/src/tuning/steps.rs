//! One measurement: apply, settle, warm up, measure, drain.

use std::time::{Duration, Instant};

use skilift_core::clock::epoch_ms;
use skilift_tuning::sweep::{Measurement as Measured, Run};
use xxhash_rust::xxh3::xxh3_64;

use super::job::{Failure, Job};
use super::load::{LoadProcess, LoadSummary};
use super::measurement::Figures;
use super::spec;
use crate::error::Error;
use crate::view::ProblemCode;
use crate::view::tuning::{RunView, SweepLatency, SweepPhase};

/// How long the load may take until its first ride arrives.
const ARRIVE: Duration = Duration::from_secs(20);
/// How long the load runs beyond what is planned; it is ended before.
const SPARE: Duration = Duration::from_secs(120);
/// Interval of looks at a running load.
const LOOK: Duration = Duration::from_millis(250);
/// How much faster rides may be accepted than stored: beyond this part the backlog grows.
const GROWTH: f64 = 0.02;
/// A backlog of less than this time of arrivals is in flight, not growing.
const IN_FLIGHT_S: f64 = 0.25;

/// Figures of a measurement, with what cannot be read from heartbeats.
struct Observed {
    figures: Figures,
    backlog: Option<u64>,
    usd_per_h: Option<f64>,
}

impl Job {
    /// Makes a measurement and notes it.
    pub(super) async fn measure(&mut self, run: Run) -> Result<Measured, Failure> {
        let (at_ms, began) = (epoch_ms(), Instant::now());
        let mut view = RunView {
            repeat: run.repeat,
            at_ms,
            ..RunView::default()
        };
        let result = self.measure_into(run, &mut view).await;
        let why = match &result {
            Ok(_) => None,
            Err(Failure::Point(why)) => Some(why.clone()),
            // It is made again, or the sweep ends: nothing to note.
            Err(_) => return result,
        };
        view.took_s = began.elapsed().as_secs_f64();
        view.failed = why;
        self.record.runs.push((run.config, view));
        result
    }

    async fn measure_into(&mut self, run: Run, view: &mut RunView) -> Result<Measured, Failure> {
        self.show(SweepPhase::Applying, Some(run), None);
        self.check_lease()?;
        let change = self.change_to(run.config);
        self.applied = Some(run.config);
        self.change(change).await.map_err(failure)?;
        self.show(SweepPhase::Settling, Some(run), None);
        self.wait_for_nodes(run.config).await?;
        // What an earlier point left is not this one's fault.
        let settled = self.wait_for_empty_queue().await;
        settled.map_err(|failure| match failure {
            Failure::Point(why) => Failure::Again(why),
            failure => failure,
        })?;
        let (lost, duplicates) = self.losses();

        let mut load = self.start_load(run)?;
        let observed = tokio::select! {
            observed = self.observe(run) => observed,
            why = load.ended() => Err(Failure::Again(why)),
        };
        self.show(SweepPhase::Draining, Some(run), None);
        let said = load.end().await;
        let observed = observed?;
        fill(view, &observed, said.as_ref().ok());
        let drained = self.wait_for_empty_queue().await;
        view.drain_s = drained.as_ref().ok().map(Duration::as_secs_f64);
        let (lost_now, duplicates_now) = self.losses();
        view.lost_messages = lost_now
            .zip(lost)
            .map(|(now, before)| now.saturating_sub(before));
        view.duplicate_rides = duplicates_now
            .zip(duplicates)
            .map(|(now, before)| now.saturating_sub(before));
        let said = said.map_err(Failure::Again)?;
        check_growth(&observed)?;
        drained?;
        self.measured(&observed, &said)
    }

    fn start_load(&self, run: Run) -> Result<LoadProcess, Failure> {
        let spec = &self.record.spec;
        let Some(command) = &self.console.config.load else {
            return Err(Failure::Point(
                "this console cannot start a load".to_owned(),
            ));
        };
        let length =
            Duration::from_secs(u64::from(spec.warm_up_s) + u64::from(spec.measure_s)) + SPARE;
        // Other rides in every measurement of every sweep: rides that are stored already cost less.
        let of = format!("{} {}", self.record.started_at_ms, epoch_ms());
        let seed = xxh3_64(of.as_bytes());
        self.show(SweepPhase::WarmingUp, Some(run), None);
        LoadProcess::start(&command.of(&spec.load, seed, length)).map_err(Failure::Again)
    }

    /// Warms up and measures, under load.
    async fn observe(&self, run: Run) -> Result<Observed, Failure> {
        let monitor = &self.console.monitor;
        monitor.begin_measurement();
        let began = Instant::now();
        while monitor.measured_so_far(|so_far| so_far.accepted() + so_far.reads()) == 0 {
            if began.elapsed() > ARRIVE {
                let s = ARRIVE.as_secs();
                return Err(Failure::Again(format!(
                    "nothing of the load arrived within {s} s"
                )));
            }
            self.pause(LOOK).await?;
        }
        let spec = &self.record.spec;
        let (warm_up, length) = (
            Duration::from_secs(spec.warm_up_s.into()),
            Duration::from_secs(spec.measure_s.into()),
        );
        self.show(SweepPhase::WarmingUp, Some(run), Some(warm_up));
        self.watch_for(warm_up).await?;
        monitor.begin_measurement();
        self.show(SweepPhase::Measuring, Some(run), Some(length));
        self.watch_for(length).await?;
        let figures = monitor.end_measurement().map_err(Failure::Again)?;
        self.check_counts(run.config)?;
        let cost = crate::fleet::cost::view(&self.console).usd_per_h;
        Ok(Observed {
            figures,
            backlog: self.backlog(),
            usd_per_h: cost.value.filter(|_| cost.error.is_none()),
        })
    }

    /// Lets time pass while the measurement is not disturbed.
    async fn watch_for(&self, length: Duration) -> Result<(), Failure> {
        let until = Instant::now() + length;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.check_lease()?;
            self.pause(left.min(LOOK)).await?;
        }
        Ok(())
    }

    /// Messages lost and rides delivered twice so far, by reconciliation.
    fn losses(&self) -> (Option<u64>, Option<u64>) {
        let Some(seen) = self.console.monitor.latest() else {
            return (None, None);
        };
        let books = &seen.queue.reconciliation;
        (books.lost_messages.value, books.duplicate.value)
    }

    fn measured(&self, observed: &Observed, said: &LoadSummary) -> Result<Measured, Failure> {
        let spec = &self.record.spec;
        let only_reads = spec::has_only_reads(&spec.load);
        let figures = &observed.figures;
        let p99_ms = match spec.objective.latency {
            SweepLatency::Request if only_reads => said.latency.as_ref().map(|of| of.p99_ms),
            SweepLatency::Request => figures.post_p99_ms,
            SweepLatency::AcceptToStored => figures.stored_p99_ms,
        };
        let p99_ms = p99_ms.ok_or_else(|| Failure::Point("no ride was stored".to_owned()))?;
        Ok(Measured {
            stored_per_s: if only_reads {
                figures.reads_per_s
            } else {
                figures.stored_per_s
            },
            p99_ms,
            usd_per_h: observed.usd_per_h,
            cores: figures.worker_cores + figures.api_cores,
        })
    }
}

/// Why a configuration was not applied. Instances that do not start are the point's fault: another one may have others.
fn failure(error: Error) -> Failure {
    let why = error.message().to_owned();
    match error.code() {
        ProblemCode::Invalid | ProblemCode::Refused | ProblemCode::NotFound => Failure::Point(why),
        _ => Failure::Again(why),
    }
}

/// Refuses a measurement whose backlog grew: it shows how much arrives, not how much is stored.
fn check_growth(observed: &Observed) -> Result<(), Failure> {
    let Figures {
        accepted_per_s,
        stored_per_s,
        ..
    } = observed.figures;
    let backlog = observed
        .backlog
        .ok_or_else(|| Failure::Again("the backlog is unknown".to_owned()))?;
    let grows = accepted_per_s - stored_per_s > accepted_per_s * GROWTH;
    if grows && backlog as f64 > accepted_per_s * IN_FLIGHT_S {
        return Err(Failure::Point(format!(
            "the backlog grew: {accepted_per_s:.0} rides/s arrived, {stored_per_s:.0} were stored"
        )));
    }
    Ok(())
}

fn fill(view: &mut RunView, observed: &Observed, said: Option<&LoadSummary>) {
    let figures = &observed.figures;
    view.accepted_per_s = Some(figures.accepted_per_s);
    view.stored_per_s = Some(figures.stored_per_s);
    view.reads_per_s = Some(figures.reads_per_s);
    view.accept_to_stored_p50_ms = figures.stored_p50_ms;
    view.accept_to_stored_p99_ms = figures.stored_p99_ms;
    view.busy = Some(figures.busy);
    view.worker_cores = Some(figures.worker_cores);
    view.worker_cores_available = figures.worker_cores_available;
    view.api_cores = Some(figures.api_cores);
    view.api_cores_available = figures.api_cores_available;
    view.backlog_rides = observed.backlog;
    view.usd_per_h = observed.usd_per_h;
    let of_reads = said
        .and_then(|said| said.latency.as_ref())
        .map(|of| of.p99_ms);
    view.request_p99_ms = figures.post_p99_ms.or(of_reads);
    view.failed_requests = said.map(|said| said.requests.failed);
    view.sent_late_p99_ms = said
        .and_then(|said| said.send_lateness.as_ref())
        .map(|of| of.p99_ms);
}
