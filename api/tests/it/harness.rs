//! An API in this process, and what tests do to it.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use skilift_api::{Api, ApiState, IngestPolicy, RunningApi};
use skilift_core::catalogue::Catalogue;
use skilift_core::control::DesiredState;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_core::lifecycle::Lifecycle;
use skilift_core::queue::rabbit::BrokerError;
use skilift_core::queue::{Admission, PublisherConfig};
use skilift_core::ride::Ride;
use skilift_core::store::batch::Batch;
use skilift_http::Listener;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::outside::{On, Outside};

/// How long a test waits for what must come.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Rides in one message, few enough for a small upload to be several.
pub(crate) const MESSAGE_RIDES: usize = 100;
/// Rides in flight, more than most tests have.
const MAX_IN_FLIGHT: usize = 10_000;
const PUBLISHER: PublisherConfig = PublisherConfig {
    channels: 1,
    message_rides: MESSAGE_RIDES,
    max_in_flight: MAX_IN_FLIGHT,
    high_water_rides: 10_000_000,
};

/// Two resorts, one of which lists its lifts and days.
pub(crate) const ALPS: &str = r#"
[[resort]]
id = 1
name = "Zermatt"
lifts = { 21 = 420, 22 = 380 }
seasons = { 2025 = [10, 180] }
[[resort]]
id = 2
name = "Saas-Fee & Umgebung"
"#;

pub(crate) struct TestApi {
    pub(crate) addr: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) check: HealthCheck,
    /// What tells the node what to do, and what it says of itself.
    pub(crate) node: Option<(watch::Sender<DesiredState>, RunningApi)>,
    client: Client,
    outside: Outside,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `Null` where the body is empty.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn message(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        self.json["message"]
            .as_str()
            .unwrap_or_else(|| panic!("no message: {self:?}"))
    }
}

impl TestApi {
    /// An API without a catalogue.
    pub(crate) async fn start(on: On) -> Self {
        Self::start_with(on, Catalogue::default()).await
    }

    pub(crate) async fn start_with(on: On, catalogue: Catalogue) -> Self {
        let starting = Self::start_at(Outside::open(on), catalogue);
        let api = starting.await.unwrap();
        api.until(Readiness::Ready).await;
        api
    }

    /// An API that need not become ready.
    pub(crate) async fn start_at(
        outside: Outside,
        catalogue: Catalogue,
    ) -> Result<Self, BrokerError> {
        Self::start_as(outside, MAX_IN_FLIGHT, catalogue, IngestPolicy::default()).await
    }

    /// An API with this ingest policy, until the desired state changes it.
    pub(crate) async fn start_with_policy(on: On, ingest_policy: IngestPolicy) -> Self {
        let outside = Outside::open(on);
        let starting = Self::start_as(outside, MAX_IN_FLIGHT, Catalogue::default(), ingest_policy);
        let api = starting.await.unwrap();
        api.until(Readiness::Ready).await;
        api
    }

    /// An API in which so many rides may be in flight.
    pub(crate) async fn start_with_room(on: On, max_in_flight: usize) -> Self {
        let starting = Self::start_as(
            Outside::open(on),
            max_in_flight,
            Catalogue::default(),
            IngestPolicy::default(),
        );
        let api = starting.await.unwrap();
        api.until(Readiness::Ready).await;
        api
    }

    async fn start_as(
        outside: Outside,
        max_in_flight: usize,
        catalogue: Catalogue,
        ingest_policy: IngestPolicy,
    ) -> Result<Self, BrokerError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::new(listener, None);
        let addr = listener.address().unwrap();
        let lifecycle = Lifecycle::new();
        let config = PublisherConfig {
            channels: 2,
            max_in_flight,
            ..PUBLISHER
        };
        let publisher = outside.publish(&config, Arc::default(), &lifecycle).await?;
        // A console that could be asked, and says nothing.
        let (tells, desired_state) = watch::channel(DesiredState {
            is_known: true,
            ..DesiredState::default()
        });
        let running = skilift_api::start(
            catalogue,
            listener,
            publisher,
            outside.reader(),
            ingest_policy,
            desired_state,
            &lifecycle,
        );
        let check = Arc::clone(&running.health);
        let mut api = Self::assemble(addr, lifecycle, check, outside);
        api.node = Some((tells, running));
        Ok(api)
    }

    /// An API whose admission the test itself decides, with nothing that watches the store's capacity.
    pub(crate) async fn start_with_admission(on: On, admission: Arc<Admission>) -> Self {
        let outside = Outside::open(on);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::new(listener, None);
        let addr = listener.address().unwrap();
        let lifecycle = Lifecycle::new();
        let publisher = outside
            .publish(&PUBLISHER, admission, &lifecycle)
            .await
            .unwrap();
        let state: Api = Arc::new(ApiState::new(
            publisher,
            outside.reader(),
            Catalogue::default(),
            IngestPolicy::default(),
            lifecycle.draining(),
        ));
        let router = skilift_api::router(Arc::clone(&state));
        let drain = lifecycle.draining();
        lifecycle.spawn("test server", async move {
            skilift_http::serve(listener, router, drain).await;
            Ok(())
        });
        let check: HealthCheck = Arc::new(move || state.health());
        let api = Self::assemble(addr, lifecycle, check, outside);
        api.until(Readiness::Ready).await;
        api
    }

    fn assemble(
        addr: SocketAddr,
        lifecycle: Lifecycle,
        check: HealthCheck,
        outside: Outside,
    ) -> Self {
        Self {
            addr,
            lifecycle,
            check,
            node: None,
            client: skilift_servers::http(),
            outside,
        }
    }

    pub(crate) fn health(&self) -> Health {
        (self.check)()
    }

    pub(crate) async fn until(&self, status: Readiness) {
        let is_so = || self.health().status == status;
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        while !is_so() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{:?}",
                self.health()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.client
            .request(method, format!("http://{}{path}", self.addr))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    /// The JSON of an answer that must be 200.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        answer.json
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request("POST", path).json(body)).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request("POST", path).body(body);
        send(request.header("content-type", "application/json")).await
    }

    /// Posts rides in bulk.
    pub(crate) async fn post_text_lines(&self, lines: String) -> Answer {
        let request = self.request("POST", "/rides").body(lines);
        send(request.header("content-type", "application/x-ndjson")).await
    }

    /// Stores rides as a worker would.
    pub(crate) async fn store(&self, rides: Vec<Ride>) {
        self.outside.store(&Batch::new(rides)).await;
    }

    /// Takes rides from the queue until there are `count` different ones, and makes sure that no others come.
    pub(crate) async fn queued(&self, count: usize) -> BTreeSet<Ride> {
        let rides = self.outside.take_rides(count, TIMEOUT).await;
        assert_eq!(rides.len(), count);
        rides
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        self.lifecycle.drain();
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    let json = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
    };
    Answer {
        status,
        headers,
        json,
    }
}

/// A ride of season 2025.
pub(crate) fn ride(resort: u64, day: u64, skier: u64, minute: u64, lift: u64) -> Ride {
    let season = "2025";
    ride_in(season, resort, day, skier, minute, lift)
}

pub(crate) fn ride_in(
    season: &str,
    resort: u64,
    day: u64,
    skier: u64,
    minute: u64,
    lift: u64,
) -> Ride {
    serde_json::from_value(json!({
        "resortID": resort, "seasonID": season, "dayID": day, "skierID": skier, "time": minute, "liftID": lift
    }))
    .unwrap()
}

/// A catalogue from its text.
pub(crate) fn catalogue(toml: &str) -> Catalogue {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    Catalogue::read(file.path()).unwrap()
}
