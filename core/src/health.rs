//! The private listener: `/healthz`, `/readyz` and `/metrics`.
//!
//! It is a separate socket, bound to loopback by default, so that metrics never leak through the public port.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::TaskError;

/// Upper bounds of the latency histograms' buckets, in seconds.
const LATENCY_BUCKETS_S: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
/// Upper bounds of the size histograms' buckets, in rides.
const SIZE_BUCKETS: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0,
];
/// How often recorded samples are folded into their buckets, so that an unscraped process does not grow.
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

/// Installs the process-wide recorder of metrics.
///
/// # Errors
/// If one is already installed.
pub fn install_metrics() -> Result<PrometheusHandle, TaskError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS_S)?
        .set_buckets_for_metric(Matcher::Suffix("_rides".to_owned()), &SIZE_BUCKETS)?;
    Ok(builder.install_recorder()?)
}

#[derive(Clone)]
struct HealthServer {
    check: HealthCheck,
    metrics: PrometheusHandle,
}

/// Serves health and metrics until `end`. It ends last, so that a drain can be observed.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    check: HealthCheck,
    metrics: PrometheusHandle,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let upkeep = metrics.clone();
    let router = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .with_state(HealthServer { check, metrics });
    let server =
        axum::serve(listener, router).with_graceful_shutdown(end.clone().cancelled_owned());
    let folding = async {
        while !end.is_cancelled() {
            upkeep.run_upkeep();
            tokio::select! {
                () = tokio::time::sleep(UPKEEP) => {}
                () = end.cancelled() => {}
            }
        }
    };
    let (served, ()) = tokio::join!(server, folding);
    Ok(served?)
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
