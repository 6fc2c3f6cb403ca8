//! Clients that send rides, repeat what was refused or not answered, and remember every answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use skilift_core::ride::Ride;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Clients that send at once.
const CLIENTS: usize = 32;
/// One ride in so many is sent again although it was accepted, as gates that read twice do.
const RESEND_EVERY: u64 = 20;

/// Rides under way.
pub(crate) struct Load {
    clients: JoinSet<Sent>,
    stop: CancellationToken,
    accepted_so_far: Arc<AtomicU64>,
}

/// What was sent, and what became of it as the clients saw it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Rides with at least one 201.
    pub(crate) accepted: BTreeSet<Ride>,
    /// Rides that were sent, with any answer or none.
    pub(crate) sent: BTreeSet<Ride>,
    pub(crate) requests: u64,
    pub(crate) created: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    /// Messages of refusals, with how often they came.
    pub(crate) messages: BTreeMap<String, u64>,
}

impl Load {
    pub(crate) fn start(url: &str) -> Self {
        Self::start_clients(CLIENTS, Duration::ZERO, url, Some(RESEND_EVERY))
    }

    /// Some hundred rides a second, for schedules that run for hours.
    pub(crate) fn start_gently(url: &str) -> Self {
        Self::start_clients(4, Duration::from_millis(8), url, Some(RESEND_EVERY))
    }

    /// Every ride is accepted once, so that one that is lost is missed.
    pub(crate) fn start_once(url: &str) -> Self {
        Self::start_clients(CLIENTS, Duration::ZERO, url, None)
    }

    fn start_clients(count: usize, pause: Duration, url: &str, resend_every: Option<u64>) -> Self {
        let stop = CancellationToken::new();
        let accepted_so_far = Arc::new(AtomicU64::new(0));
        let next = Arc::new(AtomicU64::new(0));
        let http = skilift_servers::http_builder()
            .timeout(Duration::from_secs(15))
            .build()
            .unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let client = GateClient {
                http: http.clone(),
                url: url.to_owned(),
                pause,
                resend_every,
                next: Arc::clone(&next),
                stop: stop.clone(),
                accepted_so_far: Arc::clone(&accepted_so_far),
                seen: Sent::default(),
            };
            clients.spawn(client.run());
        }
        Self {
            clients,
            stop,
            accepted_so_far,
        }
    }

    /// Waits until so many more rides are accepted.
    pub(crate) async fn accept(&self, more: u64) {
        let goal = self.accepted_so_far.load(Ordering::Relaxed) + more;
        let reaching = async {
            while self.accepted_so_far.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(90), reaching).await;
        assert!(reached.is_ok(), "rides are not accepted any more");
    }

    pub(crate) async fn stop(self) -> Sent {
        self.stop.cancel();
        let mut all = Sent::default();
        for seen in self.clients.join_all().await {
            all.accepted.extend(seen.accepted);
            all.sent.extend(seen.sent);
            all.requests += seen.requests;
            all.created += seen.created;
            all.refused += seen.refused;
            all.unanswered += seen.unanswered;
            for (message, times) in seen.messages {
                *all.messages.entry(message).or_default() += times;
            }
        }
        all
    }
}

struct GateClient {
    http: Client,
    url: String,
    /// Between two rides.
    pause: Duration,
    resend_every: Option<u64>,
    next: Arc<AtomicU64>,
    stop: CancellationToken,
    accepted_so_far: Arc<AtomicU64>,
    seen: Sent,
}

impl GateClient {
    async fn run(mut self) -> Sent {
        while !self.stop.is_cancelled() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let ride = distinct_ride(number);
            self.seen.sent.insert(ride);
            while !self.send(&ride).await && !self.stop.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if self
                .resend_every
                .is_some_and(|every| number.is_multiple_of(every))
            {
                self.send(&ride).await;
            }
            tokio::time::sleep(self.pause).await;
        }
        self.seen
    }

    async fn send(&mut self, ride: &Ride) -> bool {
        self.seen.requests += 1;
        let Ok(answer) = post(&self.http, &self.url, ride).send().await else {
            self.seen.unanswered += 1;
            return false;
        };
        match answer.status() {
            StatusCode::CREATED => {
                self.seen.created += 1;
                if self.seen.accepted.insert(*ride) {
                    self.accepted_so_far.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(answer.headers().contains_key("retry-after"));
                self.seen.refused += 1;
                let message = answer.text().await.unwrap_or_default();
                let tells = ["amqp", "redis:", "127.0.0.1", "vhost"];
                let tells = tells.iter().any(|of| message.contains(of));
                assert!(!tells, "a client learns of the servers: {message}");
                *self.seen.messages.entry(message).or_default() += 1;
                false
            }
            other => panic!("{other}: {:?}", answer.text().await),
        }
    }
}

/// The request that posts a ride.
pub(crate) fn post(http: &Client, url: &str, ride: &Ride) -> RequestBuilder {
    let Ride {
        resort,
        season,
        day,
        skier,
        minute,
        lift,
    } = ride;
    let url = format!("{url}/skiers/{resort}/seasons/{season}/days/{day}/skiers/{skier}");
    let body = serde_json::json!({ "time": minute, "liftID": lift });
    http.post(url).json(&body)
}

/// The `number`th of some millions of distinct rides, spread over 6 resort days.
pub(crate) fn distinct_ride(number: u64) -> Ride {
    let (skier, visit) = (number % 3000, number / 3000);
    serde_json::from_value(serde_json::json!({
        "resortID": 1 + skier % 3,
        "seasonID": "2025",
        "dayID": 1 + skier / 3 % 2,
        "skierID": 1 + skier,
        "time": 1 + visit % 1440,
        "liftID": 1 + (visit + skier) % 40,
    }))
    .unwrap()
}
