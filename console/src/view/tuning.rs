//! Sweeps: which numbers of nodes and threads meet an objective at the lowest cost, by experiment.

mod spec;

use std::fmt;

use serde::{Deserialize, Serialize};
pub use skilift_tuning::sweep::InstanceType;
use utoipa::ToSchema;

pub use self::spec::{SweepLatency, SweepLoad, SweepObjective, SweepSpace, SweepSpec};

/// A configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct PointConfig {
    /// API nodes.
    pub api: u32,
    /// Workers.
    pub workers: u32,
    /// Threads of each worker.
    pub threads: u32,
    /// Maximum rides in a batch.
    pub batch: u32,
    /// Instance type of the workers; absent if the sweep leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub worker_type: Option<InstanceType>,
}

impl fmt::Display for PointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            api,
            workers,
            threads,
            batch,
            worker_type,
        } = self;
        if let Some(of) = worker_type {
            write!(f, "{of}: ")?;
        }
        write!(f, "{workers} × {threads} threads, batch {batch}, {api} API")
    }
}

/// `GET /admin/v1/tuning`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SweepList {
    /// Newest first.
    pub sweeps: Vec<SweepSummary>,
}

/// One sweep of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SweepSummary {
    /// Its id, for example "t7".
    pub id: String,
    /// Its state.
    pub state: SweepState,
    /// Who started it.
    pub created_by: String,
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// Measurements done.
    pub runs_done: usize,
    /// Points measured.
    pub points: usize,
    /// The recommended point, if one meets the objective.
    pub recommended: Option<PointConfig>,
    /// Its cost per million stored rides, in US dollars.
    pub usd_per_million: Option<f64>,
}

/// State of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SweepState {
    /// It measures, or restores what was set before.
    Running,
    /// It measured everything.
    Finished,
    /// It was stopped before it had measured everything; it can be resumed.
    Stopped,
    /// It could not go on; it can be resumed.
    Failed,
}

impl SweepState {
    /// The state in one word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for SweepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `GET /admin/v1/tuning/{id}`: a sweep, its progress, and its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SweepView {
    /// Its id, for example "t7".
    pub id: String,
    /// Its state.
    pub state: SweepState,
    /// How it ended, if not by itself.
    pub message: Option<String>,
    /// What happened to the settings at its end.
    pub settings_message: Option<String>,
    /// What it measures.
    pub spec: SweepSpec,
    /// Who started it.
    pub created_by: String,
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<u64>,
    /// What its instances cost while it ran, in US dollars; null if a price is unknown.
    pub spent_usd: Option<f64>,
    /// What it is doing; null when it has ended.
    pub progress: Option<SweepProgress>,
    /// What ran before.
    pub before: PointConfig,
    /// The measured points, cheapest first.
    pub points: Vec<PointView>,
    /// Points that are still to be measured. Refinement may add some.
    pub pending: Vec<PointConfig>,
    /// The recommendation; null while no point meets the objective.
    pub recommendation: Option<RecommendationView>,
    /// Saturation against threads, over all workers.
    pub threads_model: ScalingModel,
    /// Saturation against the number of workers, with the recommended threads and batch.
    pub workers_model: ScalingModel,
    /// What limits the throughput, by measured utilisation.
    pub bottleneck: Option<String>,
    /// Where it was measured.
    pub environment: SweepEnvironment,
}

/// What a sweep is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SweepProgress {
    /// The phase.
    pub phase: SweepPhase,
    /// How long it has been in that phase, in milliseconds.
    pub phase_ms: u64,
    /// Length of the phase, in milliseconds, if it is fixed.
    pub phase_length_ms: Option<u64>,
    /// The point.
    pub point: Option<PointConfig>,
    /// Which measurement of the point, from 1.
    pub repeat: u32,
    /// Measurements done.
    pub runs_done: usize,
    /// Measurements that are known to be left. Refinement may add some.
    pub runs_left: usize,
    /// Estimated time left for them, in seconds.
    pub left_s: Option<u64>,
    /// Estimated cost of that time, in US dollars.
    pub left_usd: Option<f64>,
}

/// Phase of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepPhase {
    /// It applies the settings, starts and stops instances.
    Applying,
    /// It waits until every node runs the settings and the backlog is empty.
    Settling,
    /// The load runs, and nothing is measured yet.
    WarmingUp,
    /// It measures.
    Measuring,
    /// The load has ended, and the backlog empties.
    Draining,
    /// It restores what was set before, or applies the recommendation.
    Restoring,
}

impl SweepPhase {
    /// Its name in texts.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Settling => "settling",
            Self::WarmingUp => "warming up",
            Self::Measuring => "measuring",
            Self::Draining => "draining",
            Self::Restoring => "restoring",
        }
    }
}

/// A figure of several measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeasuredFigure {
    /// The mean.
    pub mean: f64,
    /// Lower end of its 95 % interval; null with a single measurement.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// A measured configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PointView {
    /// The configuration.
    pub config: PointConfig,
    /// How it stands to the objective and to the other points.
    pub standing: PointStanding,
    /// Whether no other point is both cheaper and faster.
    pub is_on_front: bool,
    /// Whether it ran before the sweep.
    pub is_current: bool,
    /// Why it does not count, if so.
    pub failed: Option<String>,
    /// Rides stored per second.
    pub stored_per_s: Option<MeasuredFigure>,
    /// The 99th percentile of the objective's latency, in milliseconds.
    pub p99_ms: Option<MeasuredFigure>,
    /// Rides per second that its workers can store: measured where the backlog grew, else estimated from the time for which
    /// their threads were busy.
    pub saturation_per_s: Option<MeasuredFigure>,
    /// The same with the one worker less.
    pub with_one_worker_less_per_s: Option<f64>,
    /// Cost of the instances of all roles, in US dollars per hour.
    pub usd_per_h: Option<f64>,
    /// Cost per million stored rides, in US dollars.
    pub usd_per_million: Option<f64>,
    /// CPU time of API nodes and workers per million stored rides, in seconds.
    pub cpu_s_per_million: Option<f64>,
    /// Each measurement.
    pub runs: Vec<RunView>,
}

/// How a point stands to the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PointStanding {
    /// The cheapest one that meets the objective.
    Recommended,
    /// The second choice.
    RunnerUp,
    /// It meets the objective, with its whole intervals.
    Meets,
    /// Its means meet the objective, its intervals reach beyond it.
    MayMeet,
    /// It misses the objective.
    Misses,
    /// It does not count, because a measurement failed or its cost is unknown.
    Unknown,
}

impl PointStanding {
    /// Its name in texts.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Recommended => "recommended",
            Self::RunnerUp => "runner-up",
            Self::Meets => "meets the objective",
            Self::MayMeet => "may meet the objective",
            Self::Misses => "misses the objective",
            Self::Unknown => "does not count",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RunView {
    /// Which measurement of its point, from 1.
    pub repeat: u32,
    /// When it began, in milliseconds since 1970.
    pub at_ms: u64,
    /// Time from the first step to the empty backlog, in seconds.
    pub took_s: f64,
    /// Rides accepted per second.
    pub accepted_per_s: Option<f64>,
    /// Rides stored per second.
    pub stored_per_s: Option<f64>,
    /// Reads answered per second.
    pub reads_per_s: Option<f64>,
    /// The median from acceptance to storage, in milliseconds.
    pub accept_to_stored_p50_ms: Option<f64>,
    /// The 99th percentile of it, in milliseconds.
    pub accept_to_stored_p99_ms: Option<f64>,
    /// The 99th percentile of the requests, in milliseconds.
    pub request_p99_ms: Option<f64>,
    /// Part of the time for which worker threads were busy, 0 to 1.
    pub busy: Option<f64>,
    /// CPU cores that the workers used.
    pub worker_cores: Option<f64>,
    /// CPU cores that the workers may use; several nodes on one host each count all of its cores.
    pub worker_cores_available: Option<f64>,
    /// CPU cores that the API nodes used.
    pub api_cores: Option<f64>,
    /// CPU cores that the API nodes may use.
    pub api_cores_available: Option<f64>,
    /// Rides in the queue at the end of the measurement.
    pub backlog_rides: Option<u64>,
    /// How long the queue took to empty afterwards, in seconds.
    pub drain_s: Option<f64>,
    /// Requests of the load that failed.
    pub failed_requests: Option<u64>,
    /// The 99th percentile of the delay with which the load sent its requests, in milliseconds.
    pub sent_late_p99_ms: Option<f64>,
    /// Messages lost, according to reconciliation.
    pub lost_messages: Option<u64>,
    /// Rides delivered twice and stored once.
    pub duplicate_rides: Option<u64>,
    /// Cost of the instances, in US dollars per hour.
    pub usd_per_h: Option<f64>,
    /// Why it does not count, if so.
    pub failed: Option<String>,
}

/// The recommendation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendationView {
    /// The recommended point.
    pub point: PointConfig,
    /// Whether it meets the objective with its whole intervals, not only with its means.
    pub is_certain: bool,
    /// The second choice.
    pub runner_up: Option<PointConfig>,
    /// Its cost compared with what ran before: -0.28 is 28 % less; null if one is unknown.
    pub cost_change: Option<f64>,
    /// Whether its latency differs measurably from what ran before; null if that is unknown.
    pub is_latency_different: Option<bool>,
}

/// The Universal Scalability Law of the measured points, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScalingModel {
    /// Why there is no model.
    pub error: Option<String>,
    /// The measurements that it is fitted to.
    pub measured: Vec<ScalingPoint>,
    /// The curve, up to twice the largest measured number.
    pub curve: Vec<CurvePoint>,
    /// Rides per second of one.
    pub gamma: Option<MeasuredFigure>,
    /// Contention: the share of the work that only one can do at a time.
    pub alpha: Option<MeasuredFigure>,
    /// Coherency: the cost of each pair keeping in step.
    pub beta: Option<MeasuredFigure>,
    /// The part of the variance of the rates that it explains, at most 1.
    pub r_squared: Option<f64>,
    /// The number at which the rate is highest; null if it never falls.
    pub peak: Option<f64>,
    /// The number beyond which each further one adds little.
    pub knee: Option<f64>,
    /// The model in words.
    pub words: Option<String>,
}

/// A measurement of a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScalingPoint {
    /// Threads or workers.
    pub n: f64,
    /// Rides per second.
    pub rate: f64,
}

/// A point of a model's curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CurvePoint {
    /// Threads or workers.
    pub n: f64,
    /// Rides per second.
    pub rate: f64,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Where a sweep was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SweepEnvironment {
    /// Skilift's version.
    pub version: String,
    /// The stack.
    pub stack: String,
    /// The engine: "servers" or "data folder".
    pub engine: String,
    /// The region of the instances, if known.
    pub region: Option<String>,
    /// Types of the running instances, by role.
    pub instance_types: Vec<String>,
    /// Date of the prices.
    pub prices_date: String,
    /// Seed of the order of the measurements.
    pub seed: u64,
}
