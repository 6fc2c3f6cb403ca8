//! The private listener: `/healthz`, `/readyz` and `/metrics`.
//!
//! It is a separate socket, bound to loopback by default, so that metrics never leak through the public port.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::TaskError;

/// Upper bounds of the latency histograms' buckets, in seconds.
const LATENCY_BUCKETS_S: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
/// Upper bounds of the size histograms' buckets, in rides.
const SIZE_BUCKETS: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0,
];
/// How often recorded samples are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(2);

/// Readiness of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// Not yet connected.
    Starting,
    /// Able to do all its work.
    Ready,
    /// Able to do its essential work.
    Degraded,
    /// Finishing its work before it exits.
    Draining,
    /// Unable to do its essential work now.
    Unavailable,
}

impl Readiness {
    /// 200 if new work is accepted, else 503.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Ready | Self::Degraded => StatusCode::OK,
            Self::Starting | Self::Draining | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        })
    }
}

/// The response of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether the process can do its work.
    pub status: Readiness,
    /// What is missing, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Health {
    /// A state without a message.
    #[must_use]
    pub fn plain(status: Readiness) -> Self {
        Self {
            status,
            message: None,
        }
    }

    /// A state with a message.
    pub fn because(status: Readiness, message: impl Into<String>) -> Self {
        Self {
            status,
            message: Some(message.into()),
        }
    }
}

/// Returns the health of the process.
pub type HealthCheck = Arc<dyn Fn() -> Health + Send + Sync>;

/// What each metric says, for `# HELP`. Units are in the names.
const METRICS: [(&str, Kind, &str); 28] = [
    (
        "skilift_accept_to_stored_seconds",
        Kind::Histogram,
        "Time from the acceptance of a ride until it is stored.",
    ),
    (
        "skilift_apply_duration_seconds",
        Kind::Histogram,
        "Duration of storing a batch.",
    ),
    (
        "skilift_backlog_rides",
        Kind::Gauge,
        "Rides that wait in the queue, as this API node last saw it.",
    ),
    (
        "skilift_batch_rides",
        Kind::Histogram,
        "Rides of a stored batch.",
    ),
    (
        "skilift_confirm_duration_seconds",
        Kind::Histogram,
        "Time until RabbitMQ confirms a message.",
    ),
    (
        "skilift_http_requests_total",
        Kind::Counter,
        "Requests by route, method and class of the status.",
    ),
    (
        "skilift_http_request_duration_seconds",
        Kind::Histogram,
        "Duration of a request by route and method.",
    ),
    (
        "skilift_message_rides",
        Kind::Histogram,
        "Rides of a published message.",
    ),
    (
        "skilift_publisher_channels_lost_total",
        Kind::Counter,
        "Publisher channels that RabbitMQ closed.",
    ),
    (
        "skilift_rides_accepted_total",
        Kind::Counter,
        "Rides that were accepted.",
    ),
    (
        "skilift_rides_applied_total",
        Kind::Counter,
        "Rides that were stored for the first time.",
    ),
    (
        "skilift_rides_dead_total",
        Kind::Counter,
        "Lines that became dead letters.",
    ),
    (
        "skilift_rides_duplicate_total",
        Kind::Counter,
        "Rides that were already stored.",
    ),
    (
        "skilift_store_retries_total",
        Kind::Counter,
        "Batches that were tried again because the store failed.",
    ),
    (
        "skilift_worker_interruptions_total",
        Kind::Counter,
        "Times that a worker thread lost its connection.",
    ),
    (
        "skilift_console_accept_to_stored_seconds",
        Kind::Gauge,
        "Time from the acceptance of a ride until it is stored, over the last ten seconds, by quantile.",
    ),
    (
        "skilift_console_accepted_rides",
        Kind::Gauge,
        "Rides accepted so far, by the reconciliation.",
    ),
    (
        "skilift_console_alarms",
        Kind::Gauge,
        "Alarms that are not acknowledged, by severity.",
    ),
    (
        "skilift_console_backlog_rides",
        Kind::Gauge,
        "Rides that are accepted and not settled.",
    ),
    (
        "skilift_console_dead_letters",
        Kind::Gauge,
        "Dead letters that are neither replayed nor discarded.",
    ),
    (
        "skilift_console_loss_suspected",
        Kind::Gauge,
        "1 while messages are overdue or lost.",
    ),
    (
        "skilift_console_lost_messages",
        Kind::Gauge,
        "Messages that are lost.",
    ),
    (
        "skilift_console_nodes",
        Kind::Gauge,
        "Nodes by role and state.",
    ),
    (
        "skilift_console_nodes_pending",
        Kind::Gauge,
        "Nodes that do not run the desired settings yet, by role.",
    ),
    (
        "skilift_console_oldest_ride_age_seconds",
        Kind::Gauge,
        "Age of the oldest ride that is not stored; 0 if none waits.",
    ),
    (
        "skilift_console_paused",
        Kind::Gauge,
        "1 while consumption is paused.",
    ),
    (
        "skilift_console_rejected_requests_per_second",
        Kind::Gauge,
        "Requests with rides that API nodes rejected with 401, 403 or 503, per second.",
    ),
    (
        "skilift_console_settled_rides",
        Kind::Gauge,
        "Rides settled so far, by the reconciliation.",
    ),
];

/// Kind of a metric.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

fn describe_metrics() {
    for (name, kind, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
}

/// Installs the process-wide recorder of metrics.
///
/// # Errors
/// If one is already installed.
pub fn install_metrics() -> Result<PrometheusHandle, TaskError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS_S)?
        .set_buckets_for_metric(Matcher::Suffix("_rides".to_owned()), &SIZE_BUCKETS)?;
    let handle = builder.install_recorder()?;
    describe_metrics();
    Ok(handle)
}

#[derive(Clone)]
struct HealthServer {
    check: HealthCheck,
    metrics: PrometheusHandle,
}

/// The private listener's URLs.
pub fn router(check: HealthCheck, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .layer(map_response(no_store))
        .with_state(HealthServer { check, metrics })
}

/// Folds recorded samples into their buckets again and again, so that a process that no one scrapes does not grow.
pub async fn fold(metrics: PrometheusHandle) {
    loop {
        metrics.run_upkeep();
        tokio::time::sleep(UPKEEP).await;
    }
}

/// What is true now.
async fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn readyz(State(server): State<HealthServer>) -> impl IntoResponse {
    let health = (server.check)();
    // A struct of an enum and a string can always be serialised.
    let body = serde_json::to_string(&health).unwrap_or_default();
    (
        health.status.status(),
        [(header::CONTENT_TYPE, "application/json")],
        body,
    )
}

async fn render_metrics(State(server): State<HealthServer>) -> impl IntoResponse {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (content_type, server.metrics.render())
}
