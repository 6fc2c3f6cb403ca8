//! What a worker stands on, fresh for each test, with rides that flow into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use skilift_core::control::heartbeat::{Report, WorkerReport};
use skilift_core::control::{DesiredState, Document, Status, Versioned, WorkerSettings};
use skilift_core::embedded::Database;
use skilift_core::engine::{Embedded, Engine, RabbitRedis};
use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::queue::embedded::{self, EmbeddedQueue};
use skilift_core::queue::rabbit::{self, Broker};
use skilift_core::queue::{Publisher, PublisherConfig};
use skilift_core::ride::Ride;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_servers::{shared_amqp_url, shared_redis_url};
use skilift_worker::Worker;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Clients that post at once.
const CLIENTS: u64 = 64;
const PUBLISHER: PublisherConfig = PublisherConfig {
    channels: 1,
    message_rides: 8,
    max_in_flight: 10_000,
    high_water_rides: 10_000_000,
};
/// What the flags of the tests' workers say.
pub(crate) const FLAGS: WorkerSettings = WorkerSettings {
    threads: 2,
    prefetch: 400,
    batch: 100,
    linger_ms: 5,
};

/// Writes each of these functions as a test of each engine.
macro_rules! on_both_engines {
    ($($test:ident)+) => {
        mod on_rabbit_redis {
            $(#[tokio::test] async fn $test() {
                super::$test($crate::ground::on_servers().await).await;
            })+
        }
        mod on_a_data_folder {
            $(#[tokio::test] async fn $test() {
                super::$test($crate::ground::on_a_data_folder().await).await;
            })+
        }
    };
}
pub(crate) use on_both_engines;

/// Rides that a flow may be ahead of the worker.
const MAX_AHEAD: u64 = 2_000;

/// A worker, what feeds it and what tells it what to do.
pub(crate) struct Ground {
    pub(crate) worker: Worker,
    pub(crate) reader: Arc<dyn Reader>,
    /// Maximum consumers.
    pub(crate) max_consumers: usize,
    publisher: Publisher,
    tells: watch::Sender<DesiredState>,
    lifecycle: Lifecycle,
    _folder: Option<TempDir>,
}

pub(crate) async fn on_servers() -> Ground {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let stack: StackName = format!("worker-{}-{number}", std::process::id())
        .parse()
        .unwrap();
    let lifecycle = Lifecycle::new();
    let url = ServiceUrl::amqp(&shared_amqp_url()).unwrap();
    let broker = Arc::new(Broker::new(url, "worker test").unwrap());
    let url = ServiceUrl::redis(&shared_redis_url()).unwrap();
    let store = Store::new(url, &stack, 1, StoreDurability::Checked).unwrap();
    let reader = Arc::new(store.reader().unwrap());
    let publishing = rabbit::publish(
        &PUBLISHER,
        Arc::clone(&broker),
        &stack,
        Arc::default(),
        &lifecycle,
    );
    let publisher = publishing.await.unwrap();
    let engine = RabbitRedis::new(broker, store, stack);
    start(engine, publisher, reader, lifecycle, None).await
}

pub(crate) async fn on_a_data_folder() -> Ground {
    let (lifecycle, folder) = (Lifecycle::new(), TempDir::new().unwrap());
    let database = Arc::new(Database::open(folder.path()).unwrap());
    let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
    let publisher = embedded::publish(&PUBLISHER, &queue, Arc::default(), &lifecycle);
    let reader = Arc::new(EmbeddedReader::new(Arc::clone(&database)));
    let engine = Embedded::new(database, queue);
    start(engine, publisher, reader, lifecycle, Some(folder)).await
}

async fn start<E: Engine>(
    engine: E,
    publisher: Publisher,
    reader: Arc<dyn Reader>,
    lifecycle: Lifecycle,
    folder: Option<TempDir>,
) -> Ground {
    let (tells, desired_state) = watch::channel(DesiredState::default());
    let worker = skilift_worker::start(FLAGS, desired_state, Arc::new(engine), &lifecycle).await;
    let ground = Ground {
        worker: worker.unwrap(),
        reader,
        max_consumers: E::MAX_PIPELINES,
        publisher,
        tells,
        lifecycle,
        _folder: folder,
    };
    let is_open = || ground.publisher.check_open().is_ok();
    until("the publisher is open", is_open).await;
    ground
}

impl Ground {
    pub(crate) fn status(&self) -> Status {
        self.worker.status()
    }

    pub(crate) fn report(&self) -> WorkerReport {
        match self.status().report {
            Report::Worker(report) => report,
            Report::Api(_) => panic!("a worker says that it is an API"),
        }
    }

    /// Tells the worker its settings, and waits until all its consumers have applied them.
    pub(crate) async fn set(&self, number: u64, settings: WorkerSettings) {
        self.tell(|document| document.worker = Some(Versioned::new(number, settings)));
        let taken_up = || {
            let generation = self.status().generation;
            generation.is_some_and(|taken| taken.version == number)
        };
        until("the settings are taken up", taken_up).await;
    }

    pub(crate) fn pause(&self, is_paused: bool) {
        self.tells
            .send_modify(|desired_state| desired_state.is_paused = is_paused);
    }

    pub(crate) fn drain(&self, plan: Option<&str>) {
        self.tells
            .send_modify(|desired_state| desired_state.drain = plan.map(str::to_owned));
    }

    fn tell(&self, change: impl FnOnce(&mut Document)) {
        self.tells.send_modify(|desired_state| {
            let mut document = desired_state
                .document
                .as_deref()
                .cloned()
                .unwrap_or_default();
            document.serial += 1;
            change(&mut document);
            desired_state.document = Some(Arc::new(document));
        });
    }

    /// Posts rides, each another one, until the flow is stopped. It stays a little ahead of the worker, however slow that is.
    pub(crate) fn flow(&self) -> Flow {
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for client in 1..=CLIENTS {
            let (publisher, stop) = (self.publisher.clone(), stop.clone());
            let counts = Arc::clone(&self.worker.counts);
            clients.spawn(async move {
                let mut accepted = 0;
                while !stop.is_cancelled() {
                    if publisher.accepted().saturating_sub(counts.applied()) > MAX_AHEAD {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                    publisher.publish(&ride(client, accepted)).await.unwrap();
                    accepted += 1;
                }
                accepted
            });
        }
        Flow { stop, clients }
    }

    /// Waits until so many rides are stored, all of them new.
    pub(crate) async fn stored(&self, rides: u64) {
        let counts = &self.worker.counts;
        let is_stored = || counts.applied() + counts.duplicate() + counts.dead() >= rides;
        until("everything is stored", is_stored).await;
        let is_acknowledged = || self.report().acked_rides == rides;
        until("everything is acknowledged", is_acknowledged).await;
        assert_eq!(
            (counts.applied(), counts.duplicate(), counts.dead()),
            (rides, 0, 0)
        );
    }

    /// Ends the worker and expects it to finish its work.
    pub(crate) async fn end(self) {
        self.lifecycle.drain();
        self.publisher.close();
        let signals = Signals::install().unwrap();
        let ending = self
            .lifecycle
            .run_until_drained(signals, Duration::from_secs(60));
        let success = format!("{:?}", std::process::ExitCode::SUCCESS);
        assert_eq!(format!("{:?}", ending.await), success);
    }
}

/// Rides on their way.
pub(crate) struct Flow {
    stop: CancellationToken,
    clients: JoinSet<u64>,
}

impl Flow {
    /// Stops it and says how many rides were accepted.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.cancel();
        self.clients.join_all().await.into_iter().sum()
    }
}

fn ride(skier: u64, number: u64) -> Ride {
    serde_json::from_value(serde_json::json!({
        "resortID": 1, "seasonID": "2025", "dayID": 1 + number / 1440, "skierID": skier, "time": 1 + number % 1440,
        "liftID": 5
    }))
    .unwrap()
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
