//! Both engines, for tests that must hold on either.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::embedded::Database;
use skilift_core::engine::{Embedded, Engine, Pipeline, RabbitRedis};
use skilift_core::lifecycle::Lifecycle;
use skilift_core::message::{lines, parse_line};
use skilift_core::queue::embedded::{self, EmbeddedQueue};
use skilift_core::queue::rabbit::{self, Broker};
use skilift_core::queue::{Admission, Delivery, Publisher, PublisherConfig};
use skilift_core::ride::Ride;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_servers::{shared_amqp_url, shared_redis_url};
use tempfile::TempDir;

use crate::shared::fresh_stack;

/// How a publisher is set in most tests.
pub(crate) const CONFIG: PublisherConfig = PublisherConfig {
    channels: 1,
    message_rides: 10,
    max_in_flight: 1000,
    high_water_rides: 1_000_000,
};

/// Writes each of these functions, which are generic over the engine, as a test of each engine.
macro_rules! on_both_engines {
    ($($test:ident)+) => {
        mod on_rabbit_redis {
            $(#[tokio::test] async fn $test() { super::$test::<crate::engines::Servers>().await; })+
        }
        mod on_a_data_folder {
            $(#[tokio::test] async fn $test() { super::$test::<crate::engines::Folder>().await; })+
        }
    };
}
pub(crate) use on_both_engines;

/// What an engine stands on, fresh for each test.
pub(crate) trait Ground: Sized {
    type Engine: Engine;

    /// Maximum channels of a publisher.
    const MAX_CHANNELS: usize;

    fn new() -> Self;

    fn engine(&self) -> Self::Engine;

    fn reader(&self) -> Arc<dyn Reader>;

    async fn publish(
        &self,
        config: &PublisherConfig,
        admission: Arc<Admission>,
        lifecycle: &Lifecycle,
    ) -> Publisher;
}

/// A stack of its own on the shared RabbitMQ and Redis.
pub(crate) struct Servers {
    pub(crate) stack: StackName,
    pub(crate) broker: Arc<Broker>,
}

impl Servers {
    fn store(&self) -> Store {
        let url = ServiceUrl::redis(&shared_redis_url()).unwrap();
        Store::new(url, &self.stack, 4, StoreDurability::Checked).unwrap()
    }
}

impl Ground for Servers {
    type Engine = RabbitRedis;

    const MAX_CHANNELS: usize = 64;

    fn new() -> Self {
        Self {
            stack: fresh_stack("queue"),
            broker: connect(),
        }
    }

    fn engine(&self) -> RabbitRedis {
        RabbitRedis::new(Arc::clone(&self.broker), self.store(), self.stack.clone())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.store().reader().unwrap())
    }

    async fn publish(
        &self,
        config: &PublisherConfig,
        admission: Arc<Admission>,
        lifecycle: &Lifecycle,
    ) -> Publisher {
        let broker = Arc::clone(&self.broker);
        let publishing = rabbit::publish(config, broker, &self.stack, admission, lifecycle);
        publishing.await.unwrap()
    }
}

/// A data folder of its own.
pub(crate) struct Folder {
    pub(crate) database: Arc<Database>,
    pub(crate) queue: Arc<EmbeddedQueue>,
    _folder: TempDir,
}

impl Ground for Folder {
    type Engine = Embedded;

    const MAX_CHANNELS: usize = 1;

    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Arc::new(Database::open(folder.path()).unwrap());
        Self {
            queue: EmbeddedQueue::open(Arc::clone(&database)).unwrap(),
            database,
            _folder: folder,
        }
    }

    fn engine(&self) -> Embedded {
        Embedded::new(Arc::clone(&self.database), Arc::clone(&self.queue))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(EmbeddedReader::new(Arc::clone(&self.database)))
    }

    async fn publish(
        &self,
        config: &PublisherConfig,
        admission: Arc<Admission>,
        lifecycle: &Lifecycle,
    ) -> Publisher {
        embedded::publish(config, &self.queue, admission, lifecycle)
    }
}

/// A publisher whose channel is open, and the engine behind it.
pub(crate) struct Setup<G: Ground> {
    pub(crate) ground: G,
    pub(crate) engine: G::Engine,
    pub(crate) admission: Arc<Admission>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) publisher: Publisher,
}

impl<G: Ground> Setup<G> {
    pub(crate) async fn new(config: PublisherConfig) -> Self {
        let (ground, lifecycle) = (G::new(), Lifecycle::new());
        let admission = Arc::<Admission>::default();
        let publishing = ground.publish(&config, Arc::clone(&admission), &lifecycle);
        let publisher = publishing.await;
        eventually("the channel opens", || publisher.check_open().is_ok()).await;
        Self {
            engine: ground.engine(),
            ground,
            admission,
            lifecycle,
            publisher,
        }
    }

    pub(crate) async fn pipeline(&self, prefetch: u16) -> <G::Engine as Engine>::Pipeline {
        self.engine.open(prefetch).await.unwrap()
    }
}

pub(crate) fn connect() -> Arc<Broker> {
    Arc::new(Broker::new(ServiceUrl::amqp(&shared_amqp_url()).unwrap(), "test").unwrap())
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

pub(crate) async fn take(pipeline: &mut impl Pipeline) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(60), pipeline.next());
    next.await.expect("a message within 10 s").unwrap().unwrap()
}

pub(crate) fn rides_of(delivery: &Delivery) -> Vec<Ride> {
    lines(&delivery.body)
        .map(|(_, line)| parse_line(line).unwrap())
        .collect()
}
