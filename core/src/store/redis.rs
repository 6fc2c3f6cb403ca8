//! The data model in Redis, whose single thread is the bottleneck of the system: a batch needs few, large commands.
//!
//! - [`keys`]: the names of the keys.
//! - [`durability`]: whether Redis keeps acknowledged writes. [`probe`]: diagnosis.
//! - `reconciliation`: scripts and queries of the reconciliation.
//! - [`writer`]: stores batches by `apply.lua` and maintains the indexes; [`reader`]: queries. `repair`: recounts and
//!   reindexes a day. `archive`: moves days to files and back.
//!
//! The ledger (`rides:R:S:D`) is the data. Counters and indexes follow from it, and everything else is derived on read.

mod archive;
pub mod durability;
pub mod keys;
pub mod probe;
pub mod reader;
mod reconciliation;
mod repair;
pub mod writer;

use std::time::Duration;

use deadpool_redis::{Manager, Pool};
use redis::AsyncConnectionConfig;

use self::durability::StoreDurability;
use self::keys::Keys;
use self::reader::RedisReader;
use self::writer::Writer;
use super::StoreError;
use crate::service_url::ServiceUrl;
use crate::stack::StackName;

/// The version of this data model. A store with a newer version is rejected.
pub const FORMAT: u32 = 1;

/// Timeout of a write, after which its connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Creates the error of a failed call.
fn failed(doing: &'static str) -> impl FnOnce(redis::RedisError) -> StoreError {
    move |error| StoreError::Call {
        doing,
        source: error.into(),
    }
}

/// A Redis server and the stack's keys in it.
#[derive(Debug, Clone)]
pub struct Store {
    url: ServiceUrl,
    client: redis::Client,
    pool: Pool,
    keys: Keys,
    durability: StoreDurability,
}

impl Store {
    /// A store that is not connected yet, for at most `writers` writers at once.
    ///
    /// `durability` says what must prove that Redis keeps acknowledged writes, before a writer is given.
    ///
    /// # Errors
    /// If the URL has a part that is unknown to Redis.
    pub fn new(
        url: ServiceUrl,
        stack: &StackName,
        writers: usize,
        durability: StoreDurability,
    ) -> Result<Self, StoreError> {
        let client = redis::Client::open(url.reveal()).map_err(StoreError::Url)?;
        let connection = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(WRITE_TIMEOUT));
        let manager =
            Manager::new_with_config(url.reveal(), connection).map_err(StoreError::Url)?;
        let pool = Pool::builder(manager)
            .max_size(writers.max(1))
            .build()
            .expect("a pool without timeouts needs no runtime");
        Ok(Self {
            url,
            client,
            pool,
            keys: Keys::new(stack),
            durability,
        })
    }

    /// A store for readers. A writer of it would demand proof that Redis keeps acknowledged writes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_reading(url: ServiceUrl, stack: &StackName) -> Result<Self, StoreError> {
        Self::new(url, stack, 1, StoreDurability::Checked)
    }

    /// Sets the maximum number of writers. Idle connections above it are closed.
    pub fn set_max_writers(&self, writers: usize) {
        self.pool.resize(writers.max(1));
    }

    /// Takes a connection and checks that writes through it are durable.
    ///
    /// # Errors
    /// If Redis cannot be reached, denies access, is not durable, or has a newer format.
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        let mut connection = self.pool.get().await.map_err(|error| self.explain(error))?;
        durability::check(&mut connection, &self.url, self.durability).await?;
        self.check_format(&mut connection).await?;
        Ok(Writer::new(connection, self.keys.clone()))
    }

    /// A reader, which connects automatically when needed.
    ///
    /// # Errors
    /// If the client cannot be created.
    pub fn reader(&self) -> Result<RedisReader, StoreError> {
        RedisReader::new(self.client.clone(), self.keys.clone())
    }

    /// Checks that this version can read the stored data. An unreachable store passes the check.
    ///
    /// # Errors
    /// If the data was written by a newer version, or Redis denies access.
    pub async fn check_readable(&self) -> Result<(), StoreError> {
        let found = async {
            let mut connection = self.pool.get().await.map_err(|error| self.explain(error))?;
            let asked = redis::cmd("GET")
                .arg(self.keys.format())
                .query_async(&mut connection)
                .await;
            asked.map_err(failed("report the format of its data"))
        };
        match found.await {
            Ok(found) => understand(found),
            Err(error) if error.is_permanent() => Err(error),
            Err(_) => Ok(()),
        }
    }

    async fn check_format(
        &self,
        connection: &mut deadpool_redis::Connection,
    ) -> Result<(), StoreError> {
        let key = self.keys.format();
        let doing = "report the format of its data";
        let found: Option<String> = redis::cmd("SET")
            .arg(&key)
            .arg(FORMAT)
            .arg("NX")
            .arg("GET")
            .query_async(connection)
            .await
            .map_err(failed(doing))?;
        understand(found)
    }

    fn explain(&self, error: deadpool_redis::PoolError) -> StoreError {
        let url = self.url.to_string();
        match error {
            deadpool_redis::PoolError::Backend(source) if is_refusal(&source) => {
                StoreError::Refused { url, source }
            }
            deadpool_redis::PoolError::Backend(source) => StoreError::Connect {
                url,
                source: source.into(),
            },
            other => StoreError::Connect {
                url,
                source: other.into(),
            },
        }
    }
}

/// Checks that data of this format can be read. Without a format there is no data yet.
fn understand(found: Option<String>) -> Result<(), StoreError> {
    match found {
        Some(found) if found.parse::<u32>().is_ok_and(|version| version <= FORMAT) => Ok(()),
        Some(found) => Err(StoreError::NewerFormat { found }),
        None => Ok(()),
    }
}

fn is_refusal(error: &redis::RedisError) -> bool {
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}
