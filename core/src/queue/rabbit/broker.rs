//! One connection to a RabbitMQ node, opened on demand.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ConnectionStatus, ErrorKind};
use tokio::sync::Mutex;

use crate::service_url::ServiceUrl;

/// AMQP heartbeat, in seconds: a peer that is silent for twice as long is gone.
const HEARTBEAT_S: u16 = 10;
/// How long a connection attempt or a call on a channel may take.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A RabbitMQ node and, while it lasts, the connection to it. All channels of a process share it.
#[derive(Debug)]
pub struct Broker {
    url: ServiceUrl,
    uri: AMQPUri,
    /// Shown in RabbitMQ's own pages.
    client_name: String,
    connection: Mutex<Option<Connection>>,
    /// Of the latest connection. It is read without waiting for one that is being opened.
    status: StdMutex<Option<ConnectionStatus>>,
}

/// What went wrong with the broker, and with what.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// The URL has a part that AMQP does not know. The text says which, and never repeats the URL.
    #[error("the RabbitMQ URL cannot be used: {0}")]
    Url(String),
    /// No connection.
    #[error("cannot reach RabbitMQ at {url}")]
    Connect {
        /// Where, without the password.
        url: String,
        /// Why.
        source: lapin::Error,
    },
    /// RabbitMQ does not want us.
    #[error(
        "RabbitMQ at {url} refused user or virtual host ({reason}); check --amqp-url and the user's permissions"
    )]
    Refused {
        /// Where, without the password.
        url: String,
        /// RabbitMQ's own words.
        reason: String,
    },
    /// The queue exists, but is not the one that we need.
    #[error(
        "the queue {queue} exists with other arguments than this version declares ({reason}); \
         let the workers empty it, delete it, and start again, or use another --stack"
    )]
    OtherArguments {
        /// The queue.
        queue: String,
        /// RabbitMQ's own words.
        reason: String,
    },
    /// A delivery never reached the consumer: what follows it must not be acknowledged.
    #[error(
        "RabbitMQ delivered message {next} after {last} on a channel: one in between was missed"
    )]
    MissedDelivery {
        /// The tag of the message that was handed out last.
        last: u64,
        /// The tag of the one that came next.
        next: u64,
    },
    /// A call failed, most often because the connection was lost.
    #[error("RabbitMQ did not {doing}")]
    Call {
        /// What was asked, as a verb: "declare the queue".
        doing: &'static str,
        /// Why.
        source: lapin::Error,
    },
    /// Somebody else has the lease of a queue that only one may read.
    #[error(
        "{queue} has another reader: one console takes the dead letters of a stack, and this one waits"
    )]
    Taken {
        /// The queue.
        queue: String,
    },
    /// RabbitMQ cancelled a consumer, as it does when its queue is deleted.
    #[error("RabbitMQ cancelled the consumer: the queue was deleted, or moved to another node")]
    ConsumerCancelled,
    /// A queue is not there.
    #[error(
        "RabbitMQ has no queue {queue}: no API node and no worker has declared it yet, or it was deleted"
    )]
    NoQueue {
        /// The queue.
        queue: String,
    },
    /// A queue that had messages tells of none, nor of anybody who could have taken them.
    #[error(
        "RabbitMQ tells of neither messages nor consumers of {queue}: the queue may have no leader"
    )]
    NoLeader {
        /// The queue.
        queue: String,
    },
    /// A call got no answer.
    #[error("RabbitMQ did not {doing} within {} s", CALL_TIMEOUT.as_secs())]
    Silent {
        /// What was asked, as a verb.
        doing: &'static str,
    },
}

impl BrokerError {
    /// Whether trying again is useless until somebody changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Url(_) | Self::Refused { .. } | Self::OtherArguments { .. }
        )
    }
}

/// The reply code and text that the broker gave, if it gave one.
/// Codes: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>.
pub(super) fn broker_reply(error: &lapin::Error) -> Option<(u16, String)> {
    match error.kind() {
        ErrorKind::ProtocolError(reply) => Some((reply.get_id(), reply.get_message().to_string())),
        _ => None,
    }
}

/// Waits for a call on the broker, not for ever.
pub(super) async fn within_timeout<T>(
    doing: &'static str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(BrokerError::Call { doing, source }),
        Err(_) => Err(BrokerError::Silent { doing }),
    }
}

impl Broker {
    /// A node that is not connected to yet.
    ///
    /// # Errors
    /// When the URL has a part that AMQP does not know.
    pub fn new(url: ServiceUrl, client_name: impl Into<String>) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = url.reveal().parse().map_err(BrokerError::Url)?;
        uri.query.heartbeat = Some(HEARTBEAT_S);
        uri.query.connection_timeout = u64::try_from(CALL_TIMEOUT.as_millis()).ok();
        Ok(Self {
            url,
            uri,
            client_name: client_name.into(),
            connection: Mutex::new(None),
            status: StdMutex::new(None),
        })
    }

    /// The same node by a connection of its own, for work that must go on when the other is blocked.
    #[must_use]
    pub fn another(&self, purpose: &str) -> Arc<Self> {
        Arc::new(Self {
            url: self.url.clone(),
            uri: self.uri.clone(),
            client_name: format!("{} {purpose}", self.client_name),
            connection: Mutex::new(None),
            status: StdMutex::new(None),
        })
    }

    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// Opens a channel, and the connection first when there is none.
    ///
    /// # Errors
    /// When RabbitMQ cannot be reached, refuses us, or does not answer.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take() {
            Some(connection) if connection.status().connected() => connection,
            _ => self.connect().await?,
        };
        let opened = within_timeout("open a channel", connection.create_channel()).await;
        // A connection that cannot open a channel is of no use: the next call makes a new one.
        if opened.is_ok() {
            *slot = Some(connection);
        }
        opened
    }

    /// Whether RabbitMQ has blocked publishing, for want of memory or disk.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status
            .as_ref()
            .is_some_and(|status| status.connected() && status.blocked())
    }

    /// Closes the connection in good order.
    pub async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            let closed =
                within_timeout("close the connection", connection.close(200, "bye".into())).await;
            if let Err(error) = closed {
                tracing::debug!("closing the connection to RabbitMQ: {error}");
            }
        }
    }

    async fn connect(&self) -> Result<Connection, BrokerError> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.client_name.clone().into());
        let connecting = Connection::connect_uri(self.uri.clone(), properties);
        match tokio::time::timeout(CALL_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => {
                tracing::info!("connected to RabbitMQ at {}", self.url);
                let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
                *status = Some(connection.status().clone());
                Ok(connection)
            }
            Ok(Err(source)) => Err(self.explain(source)),
            Err(_) => Err(BrokerError::Silent {
                doing: "accept a connection",
            }),
        }
    }

    fn explain(&self, source: lapin::Error) -> BrokerError {
        let url = self.url.to_string();
        match broker_reply(&source) {
            // 403 ACCESS_REFUSED: wrong user or password. 530 NOT_ALLOWED: no such virtual host, or none of ours.
            Some((403 | 530, reason)) => BrokerError::Refused { url, reason },
            _ => BrokerError::Connect { url, source },
        }
    }
}
