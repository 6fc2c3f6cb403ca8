//! Response times for `GET /statistics` and for the metrics of the private listener.
//!
//! Every route holds its [`Endpoint`], so a request costs a few atomic additions and no lookup.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Counter, Histogram};
use serde::Serialize;
use skilift_core::control::Durations;
use utoipa::ToSchema;

use crate::extract::ApiJson;
use crate::state::Api;

/// URL for posting a ride.
pub(crate) const RIDE_URL: &str =
    "/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}";
/// URL for posting rides in bulk.
pub(crate) const BULK_URL: &str = "/rides";
/// URLs about this process, not about rides.
pub(crate) const OPERATION: [&str; 4] = ["/", "/statistics", "/openapi.json", "/readyz"];
/// Maximum recorded duration in microseconds; longer than any request may take.
const MAX_US: u64 = 60_000_000;

/// The endpoints of one router.
#[derive(Default)]
pub(crate) struct Statistics(Mutex<Vec<Arc<Endpoint>>>);

/// One URL in all its spellings.
pub(crate) struct Endpoint {
    get: Meter,
    post: Meter,
    /// Requests with an unsupported method; only in the metrics.
    other: Meter,
}

/// Counters of one URL and method.
struct Meter {
    url: &'static str,
    method: &'static str,
    count: AtomicU64,
    total_ns: AtomicU64,
    max_ns: AtomicU64,
    seconds: OnceLock<Histogram>,
    /// Responses below 500.
    served: AtomicU64,
    /// Responses with 500 or above.
    failed: AtomicU64,
    denied: AtomicU64,
    /// Durations of requests that created something, if recorded.
    made_us: Option<Durations>,
    /// By the first digit of the status.
    answers: [OnceLock<Counter>; 6],
}

impl Statistics {
    /// A new endpoint under this URL.
    pub(crate) fn endpoint(&self, url: &'static str) -> Arc<Endpoint> {
        let endpoint = Arc::new(Endpoint {
            get: Meter::new(url, "GET"),
            post: Meter::new(url, "POST"),
            other: Meter::new(url, "other"),
        });
        self.endpoints().push(Arc::clone(&endpoint));
        endpoint
    }

    /// Number of served reads of rides.
    pub(crate) fn reads(&self) -> u64 {
        let endpoints = self.endpoints();
        let asked = endpoints.iter().map(|endpoint| &endpoint.get);
        asked
            .filter(|meter| !OPERATION.contains(&meter.url))
            .map(|meter| meter.served.load(Ordering::Relaxed))
            .sum()
    }

    /// Number of requests with rides that were rejected with 503, or failed.
    pub(crate) fn refused(&self) -> u64 {
        self.posted(|meter| &meter.failed)
    }

    /// Number of requests with rides that were rejected with 401 or 403.
    pub(crate) fn denied(&self) -> u64 {
        self.posted(|meter| &meter.denied)
    }

    /// A counter of requests with rides.
    fn posted(&self, counter: impl Fn(&Meter) -> &AtomicU64) -> u64 {
        let endpoints = self.endpoints();
        let posted = endpoints.iter().map(|endpoint| &endpoint.post);
        posted
            .filter(|meter| [RIDE_URL, BULK_URL].contains(&meter.url))
            .map(|meter| counter(meter).load(Ordering::Relaxed))
            .sum()
    }

    /// Latencies of single posted rides until their 201, since the last call, in heartbeat form.
    pub(crate) fn take_ride_durations(&self) -> Option<String> {
        let endpoints = self.endpoints();
        let mut made = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.post.made_us.as_ref());
        made.find_map(Durations::take)
    }

    fn endpoints(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Endpoint>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// An endpoint that `GET /statistics` does not list, for requests of unknown URLs.
    pub(crate) fn unlisted(url: &'static str) -> Arc<Self> {
        Statistics::default().endpoint(url)
    }

    fn meter(&self, method: &Method, status: StatusCode) -> &Meter {
        match *method {
            _ if status == StatusCode::METHOD_NOT_ALLOWED => &self.other,
            Method::GET | Method::HEAD => &self.get,
            Method::POST => &self.post,
            _ => &self.other,
        }
    }
}

impl Meter {
    fn new(url: &'static str, method: &'static str) -> Self {
        Self {
            url,
            method,
            count: AtomicU64::new(0),
            total_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
            served: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            made_us: (url == RIDE_URL && method == "POST").then(|| Durations::up_to(MAX_US)),
            seconds: OnceLock::new(),
            answers: Default::default(),
        }
    }

    fn record(&self, took: Duration, status: StatusCode) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        self.max_ns.fetch_max(ns, Ordering::Relaxed);
        if status.as_u16() < 500 {
            self.served.fetch_add(1, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status) {
            self.denied.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(made_us) = &self.made_us
            && status == StatusCode::CREATED
        {
            made_us.record(ns / 1000, 1);
        }
        self.seconds().record(took.as_secs_f64());
        self.answers(status).increment(1);
    }

    fn seconds(&self) -> &Histogram {
        self.seconds.get_or_init(|| {
            metrics::histogram!(
                "skilift_http_request_duration_seconds",
                "route" => self.url, "method" => self.method
            )
        })
    }

    fn answers(&self, status: StatusCode) -> &Counter {
        const CLASSES: [&str; 6] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let class = usize::from(status.as_u16() / 100).min(CLASSES.len() - 1);
        self.answers[class].get_or_init(|| {
            metrics::counter!(
                "skilift_http_requests_total",
                "route" => self.url, "method" => self.method, "status" => CLASSES[class]
            )
        })
    }

    fn stats(&self) -> Option<EndpointStats> {
        let count = self.count.load(Ordering::Relaxed);
        let mean_ns = self.total_ns.load(Ordering::Relaxed).checked_div(count)?;
        let max_ns = self.max_ns.load(Ordering::Relaxed);
        Some(EndpointStats {
            url: self.url,
            operation: self.method,
            mean: whole_milliseconds(mean_ns),
            max: whole_milliseconds(max_ns),
            mean_ms: milliseconds(mean_ns),
            max_ms: milliseconds(max_ns),
        })
    }
}

/// The nearest whole milliseconds: clients generated from the published interface of the replaced system read integers.
fn whole_milliseconds(ns: u64) -> u64 {
    ns.saturating_add(500_000) / 1_000_000
}

/// Milliseconds with microsecond precision.
fn milliseconds(ns: u64) -> f64 {
    (ns / 1000) as f64 / 1000.0
}

/// Measures a request of an endpoint.
pub(crate) async fn measure(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let mut response = next.run(request).await;
    // The next ride changes the numbers.
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let status = response.status();
    let meter = endpoint.meter(&method, status);
    meter.record(began.elapsed(), status);
    response
}

/// Response times and backlog.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllStats {
    /// The operations with requests, in the order of the documentation.
    #[serde(rename = "endpointStats")]
    endpoint_stats: Vec<EndpointStats>,
    /// Accepted rides that are not stored yet, as last observed by this process; `null` while unknown.
    #[serde(rename = "backlogRides")]
    #[schema(example = 120)]
    backlog_rides: Option<u64>,
}

/// Response times of one operation.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointStats {
    #[serde(rename = "URL")]
    #[schema(value_type = String, example = "/resorts")]
    url: &'static str,
    #[schema(value_type = String, example = "GET")]
    operation: &'static str,
    /// Whole milliseconds.
    #[schema(minimum = 0, example = 1)]
    mean: u64,
    /// Whole milliseconds.
    #[schema(minimum = 0, example = 18)]
    max: u64,
    /// Milliseconds, with microseconds.
    #[schema(minimum = 0, example = 1.204)]
    mean_ms: f64,
    /// Milliseconds, with microseconds.
    #[schema(minimum = 0, example = 18.031)]
    max_ms: f64,
}

/// Response times and backlog
///
/// Times are in milliseconds, for this process since its start.
#[utoipa::path(
    get,
    path = "/statistics",
    operation_id = "getStatistics",
    tag = "Operation",
    responses((status = 200, description = "Operations with requests", body = AllStats)),
)]
pub(crate) async fn statistics(State(api): State<Api>) -> ApiJson<AllStats> {
    let endpoints = api.statistics.endpoints();
    let meters = endpoints
        .iter()
        .flat_map(|endpoint| [&endpoint.get, &endpoint.post]);
    ApiJson(AllStats {
        endpoint_stats: meters.filter_map(Meter::stats).collect(),
        // Never negative, and far below 2^53.
        backlog_rides: api.publisher.backlog().rides().map(|rides| rides as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_mean_and_maximum_of_what_was_asked() {
        let endpoint = Endpoint::unlisted("/x");
        for (ms, status) in [(1, StatusCode::OK), (4, StatusCode::NOT_FOUND)] {
            let meter = endpoint.meter(&Method::HEAD, status);
            meter.record(Duration::from_millis(ms), status);
        }
        let wrong = StatusCode::METHOD_NOT_ALLOWED;
        endpoint
            .meter(&Method::POST, wrong)
            .record(Duration::from_secs(1), wrong);
        let stats = endpoint.get.stats().unwrap();
        assert_eq!(
            (stats.operation, stats.mean_ms, stats.max_ms),
            ("GET", 2.5, 4.0)
        );
        assert_eq!((stats.mean, stats.max), (3, 4));
        assert!(endpoint.post.stats().is_none());
    }

    #[test]
    fn questions_refusals_and_rides_are_told_apart() {
        let statistics = Statistics::default();
        let met = |url, method: &Method, status| {
            let endpoint = statistics.endpoint(url);
            let took = Duration::from_micros(1500);
            endpoint.meter(method, status).record(took, status);
        };
        met("/readyz", &Method::GET, StatusCode::OK);
        met("/resorts", &Method::GET, StatusCode::OK);
        met(RIDE_URL, &Method::GET, StatusCode::NOT_FOUND);
        met(RIDE_URL, &Method::GET, StatusCode::SERVICE_UNAVAILABLE);
        met(RIDE_URL, &Method::POST, StatusCode::CREATED);
        met(BULK_URL, &Method::POST, StatusCode::SERVICE_UNAVAILABLE);
        met(RIDE_URL, &Method::POST, StatusCode::UNAUTHORIZED);
        met(BULK_URL, &Method::POST, StatusCode::FORBIDDEN);
        assert_eq!((statistics.reads(), statistics.refused()), (2, 1));
        assert_eq!(statistics.denied(), 2);
        let took = Durations::read(&statistics.take_ride_durations().unwrap()).unwrap();
        assert_eq!((took.len(), took.max()), (1, 1500));
        assert_eq!(statistics.take_ride_durations(), None);
    }
}
