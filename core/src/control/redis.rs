//! Control channel between nodes and console over Redis: documents are keys; heartbeats are pub/sub messages, which need no
//! disk write and are not stored.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{Client, RedisError, Script};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::control_channel::{ControlChannel, ControlError, MAX_BUFFERED_HEARTBEATS};
use super::document::Document;
use super::heartbeat::Heartbeat;
use super::ingest_key::IngestKeys;
use crate::service_url::ServiceUrl;
use crate::stack::StackName;

static PUBLISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("publish.lua")));

/// Timeout of a call: less than the heartbeat age at which a node counts as lost.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How often a subscriber checks its connection: without heartbeats nothing else would show that it is lost.
const LISTENER_CHECK: Duration = Duration::from_secs(1);

/// A stack's control channel in its Redis.
pub struct RedisControlChannel {
    client: Client,
    calls: ConnectionManager,
    document: String,
    ingest_keys: String,
    channel: String,
    listeners: TaskTracker,
}

impl RedisControlChannel {
    /// A control channel that is not connected yet. It connects automatically when needed.
    ///
    /// # Errors
    /// If the URL has a part that is unknown to Redis.
    pub fn new(url: &ServiceUrl, stack: &StackName) -> Result<Self, ControlError> {
        let client = Client::open(url.reveal()).map_err(failed("use the URL"))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_min_delay(Duration::from_millis(100))
            .set_max_delay(Duration::from_secs(1))
            .set_number_of_retries(1);
        let calls = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(failed("set up a connection"))?;
        Ok(Self {
            client,
            calls,
            document: format!("{{{stack}}}:control"),
            ingest_keys: format!("{{{stack}}}:ingest-keys"),
            channel: format!("{{{stack}}}:heartbeats"),
            listeners: TaskTracker::new(),
        })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        key: &str,
    ) -> Result<Option<T>, ControlError> {
        let mut connection = self.calls.clone();
        let asked = redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await;
        let found: Option<Vec<u8>> = asked.map_err(failed(doing))?;
        let parse = |json: Vec<u8>| {
            serde_json::from_slice(&json).map_err(|source| ControlError::Unreadable {
                key: key.to_owned(),
                source,
            })
        };
        found.map(parse).transpose()
    }

    async fn write(
        &self,
        doing: &'static str,
        key: &str,
        serial: u64,
        document: &impl Serialize,
    ) -> Result<u64, ControlError> {
        let mut connection = self.calls.clone();
        let mut call = PUBLISH.key(key);
        call.arg(serial).arg(to_json(document));
        let written = call.invoke_async(&mut connection).await;
        written.map_err(failed(doing))
    }

    async fn subscribe(&self) -> Result<PubSub, RedisError> {
        let subscribing = async {
            let mut listening = self.client.get_async_pubsub().await?;
            listening.subscribe(&self.channel).await?;
            Ok(listening)
        };
        let subscribed = tokio::time::timeout(TIMEOUT, subscribing).await;
        subscribed
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

#[async_trait]
impl ControlChannel for RedisControlChannel {
    async fn send_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), ControlError> {
        let mut connection = self.calls.clone();
        let sent = redis::cmd("PUBLISH")
            .arg(&self.channel)
            .arg(to_json(heartbeat))
            .exec_async(&mut connection)
            .await;
        sent.map_err(failed("send a heartbeat"))
    }

    async fn document(&self) -> Result<Option<Document>, ControlError> {
        self.read("read the settings", &self.document).await
    }

    async fn ingest_keys(&self) -> Result<Option<IngestKeys>, ControlError> {
        self.read("read the ingest keys", &self.ingest_keys).await
    }

    async fn publish(&self, document: &Document) -> Result<u64, ControlError> {
        let key = &self.document;
        self.write("publish the settings", key, document.serial, document)
            .await
    }

    async fn publish_ingest_keys(&self, keys: &IngestKeys) -> Result<u64, ControlError> {
        let key = &self.ingest_keys;
        self.write("publish the ingest keys", key, keys.serial, keys)
            .await
    }

    async fn heartbeats(&self) -> Result<mpsc::Receiver<Heartbeat>, ControlError> {
        let listening = self.subscribe().await;
        let listening = listening.map_err(failed("subscribe to heartbeats"))?;
        let (sender, receiver) = mpsc::channel(MAX_BUFFERED_HEARTBEATS);
        self.listeners.spawn(listen(listening, sender));
        Ok(receiver)
    }
}

/// Forwards heartbeats until the receiver is dropped or the connection is lost.
async fn listen(listening: PubSub, sender: mpsc::Sender<Heartbeat>) {
    let (mut connection, mut messages) = listening.split();
    let mut check = tokio::time::interval(LISTENER_CHECK);
    loop {
        let message = tokio::select! {
            () = sender.closed() => return,
            message = messages.next() => message,
            _ = check.tick() => {
                let answered = tokio::time::timeout(TIMEOUT, connection.ping::<redis::Value>());
                match answered.await {
                    Ok(Ok(_)) => continue,
                    _ => return,
                }
            }
        };
        let Some(message) = message else { return };
        match serde_json::from_slice(message.get_payload_bytes()) {
            // A slow receiver misses some: the next one carries the same counters.
            Ok(heartbeat) => drop(sender.try_send(heartbeat)),
            Err(error) => tracing::debug!("cannot parse a heartbeat: {error}"),
        }
    }
}

fn to_json(document: &impl Serialize) -> Vec<u8> {
    // Structs of numbers, text and lists can always be serialised.
    serde_json::to_vec(document).unwrap_or_default()
}

fn failed(doing: &'static str) -> impl FnOnce(RedisError) -> ControlError {
    move |error| ControlError::Redis {
        doing,
        source: error.into(),
    }
}
