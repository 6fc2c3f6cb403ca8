//! What an API stands on: the queue that it fills and the store that it asks, on either engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use skilift_core::embedded::Database;
use skilift_core::engine::{Embedded, Engine, Pipeline, RabbitRedis};
use skilift_core::lifecycle::Lifecycle;
use skilift_core::message::{lines, parse_line};
use skilift_core::queue::embedded::{self, EmbeddedQueue};
use skilift_core::queue::rabbit::{self, Broker, BrokerError};
use skilift_core::queue::{Admission, Publisher, PublisherConfig};
use skilift_core::ride::Ride;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::batch::Batch;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_servers::{shared_amqp_url, shared_redis_url};
use tempfile::TempDir;

/// Messages that a test may hold unacknowledged.
const PREFETCH: u16 = 1000;
/// How long nothing more must come.
const SILENCE: Duration = Duration::from_millis(200);

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum On {
    /// The RabbitMQ and Redis that all tests share.
    Servers,
    /// A data folder of its own.
    DataFolder,
}

/// Makes two tests of each of these functions, one on each engine.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod on_servers {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::outside::On::Servers).await;
            })*
        }

        mod on_data_folder {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::outside::On::DataFolder).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;

/// A queue and a store that no other test uses.
pub(crate) enum Outside {
    Servers(Box<Servers>),
    DataFolder(DataFolder),
}

pub(crate) struct Servers {
    engine: RabbitRedis,
    broker: Arc<Broker>,
    store: Store,
    stack: StackName,
}

pub(crate) struct DataFolder {
    engine: Embedded,
    queue: Arc<EmbeddedQueue>,
    database: Arc<Database>,
    _folder: TempDir,
}

impl Outside {
    pub(crate) fn open(on: On) -> Self {
        match on {
            On::Servers => Self::at(&shared_amqp_url(), &shared_redis_url()),
            On::DataFolder => {
                let folder = TempDir::new().unwrap();
                let database = Arc::new(Database::open(folder.path()).unwrap());
                let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
                Self::DataFolder(DataFolder {
                    engine: Embedded::new(Arc::clone(&database), Arc::clone(&queue)),
                    queue,
                    database,
                    _folder: folder,
                })
            }
        }
    }

    /// RabbitMQ and Redis at these URLs, where nobody need answer.
    pub(crate) fn at(amqp_url: &str, redis_url: &str) -> Self {
        let stack = fresh_stack();
        let broker = Broker::new(ServiceUrl::amqp(amqp_url).unwrap(), "api test").unwrap();
        let broker = Arc::new(broker);
        let store = Store::new(
            ServiceUrl::redis(redis_url).unwrap(),
            &stack,
            1,
            StoreDurability::Lossy,
        )
        .unwrap();
        Self::Servers(Box::new(Servers {
            engine: RabbitRedis::new(Arc::clone(&broker), store.clone(), stack.clone()),
            broker,
            store,
            stack,
        }))
    }

    pub(crate) async fn publish(
        &self,
        config: &PublisherConfig,
        admission: Arc<Admission>,
        lifecycle: &Lifecycle,
    ) -> Result<Publisher, BrokerError> {
        match self {
            Self::Servers(servers) => {
                let broker = Arc::clone(&servers.broker);
                rabbit::publish(config, broker, &servers.stack, admission, lifecycle).await
            }
            Self::DataFolder(folder) => Ok(embedded::publish(
                config,
                &folder.queue,
                admission,
                lifecycle,
            )),
        }
    }

    pub(crate) fn reader(&self) -> Arc<dyn Reader> {
        match self {
            Self::Servers(servers) => Arc::new(servers.store.reader().unwrap()),
            Self::DataFolder(folder) => Arc::new(EmbeddedReader::new(Arc::clone(&folder.database))),
        }
    }

    /// Stores rides as a worker would.
    pub(crate) async fn store(&self, batch: &Batch) {
        let stored = match self {
            Self::Servers(servers) => servers.engine.apply(batch).await,
            Self::DataFolder(folder) => folder.engine.apply(batch).await,
        };
        stored.unwrap();
    }

    /// Takes rides from the queue, waiting so long for each message until there are `count` different rides, and a little
    /// for what must not come after them.
    pub(crate) async fn take_rides(&self, count: usize, patience: Duration) -> BTreeSet<Ride> {
        match self {
            Self::Servers(servers) => take_rides(&servers.engine, count, patience).await,
            Self::DataFolder(folder) => take_rides(&folder.engine, count, patience).await,
        }
    }
}

async fn take_rides(engine: &impl Engine, count: usize, patience: Duration) -> BTreeSet<Ride> {
    let mut pipeline = engine.open(PREFETCH).await.unwrap();
    let mut rides = BTreeSet::new();
    loop {
        let wait = if rides.len() < count {
            patience
        } else {
            SILENCE
        };
        let Ok(delivered) = tokio::time::timeout(wait, pipeline.next()).await else {
            break;
        };
        let delivery = delivered.unwrap().unwrap();
        rides.extend(lines(&delivery.body).map(|(_, line)| parse_line(line).unwrap()));
        pipeline.ack_up_to(delivery.tag).await.unwrap();
    }
    pipeline.close().await;
    rides
}

/// A stack that no other test uses.
fn fresh_stack() -> StackName {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("api-{}-{number}", std::process::id())
        .parse()
        .unwrap()
}
