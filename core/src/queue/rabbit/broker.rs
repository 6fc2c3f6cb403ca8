//! One connection to a RabbitMQ node, opened on demand.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ConnectionStatus, ErrorKind};
use tokio::sync::Mutex;

use crate::service_url::ServiceUrl;

/// AMQP heartbeat, in seconds: a peer that is silent for twice as long counts as disconnected.
const HEARTBEAT_S: u16 = 10;
/// How long a connection attempt or a call on a channel may take.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A RabbitMQ node and its current connection, shared by all channels of a process.
#[derive(Debug)]
pub struct Broker {
    url: ServiceUrl,
    uri: AMQPUri,
    /// Shown in RabbitMQ's management UI.
    client_name: String,
    connection: Mutex<Option<Connection>>,
    /// Of the latest connection. It is read without waiting for one that is being opened.
    status: StdMutex<Option<ConnectionStatus>>,
}

/// An error of the broker.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// The URL has a part that is unknown to AMQP. The text names it, and never contains the URL.
    #[error("invalid RabbitMQ URL: {0}")]
    Url(String),
    /// No connection.
    #[error("cannot reach RabbitMQ at {url}")]
    Connect {
        /// The URL, without the password.
        url: String,
        /// Why.
        source: lapin::Error,
    },
    /// RabbitMQ denied access.
    #[error(
        "RabbitMQ at {url} denied access for this user or virtual host ({reason}); check --amqp-url and the user's permissions"
    )]
    Refused {
        /// The URL, without the password.
        url: String,
        /// RabbitMQ's error text.
        reason: String,
    },
    /// The queue exists with other arguments.
    #[error(
        "the queue {queue} exists with other arguments than this version declares ({reason}); let the workers drain it, delete it, and start again, or use another --stack"
    )]
    OtherArguments {
        /// The queue.
        queue: String,
        /// RabbitMQ's error text.
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
        /// The failed operation, as a verb phrase: "declare the queue".
        doing: &'static str,
        /// Why.
        source: lapin::Error,
    },
    /// Another process has the lease of a queue with a single reader.
    #[error(
        "{queue} already has a reader: only one console reads the dead letters of a stack, and this one is waiting"
    )]
    Taken {
        /// The queue.
        queue: String,
    },
    /// RabbitMQ cancelled a consumer, as it does when its queue is deleted.
    #[error("RabbitMQ cancelled the consumer: the queue was deleted, or moved to another node")]
    ConsumerCancelled,
    /// A queue does not exist.
    #[error(
        "RabbitMQ has no queue {queue}: no API node and no worker has declared it yet, or it was deleted"
    )]
    NoQueue {
        /// The queue.
        queue: String,
    },
    /// A queue that had messages reports none, and no consumer that could have received them.
    #[error(
        "RabbitMQ reports neither messages nor consumers for {queue}: the queue may have no leader"
    )]
    NoLeader {
        /// The queue.
        queue: String,
    },
    /// A call timed out.
    #[error("RabbitMQ did not {doing} within {} s", CALL_TIMEOUT.as_secs())]
    Silent {
        /// The failed operation, as a verb phrase.
        doing: &'static str,
    },
}

impl BrokerError {
    /// Whether a retry is useless until an operator changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Url(_) | Self::Refused { .. } | Self::OtherArguments { .. }
        )
    }
}

/// The reply code and text of the broker, if any. Codes: <https://www.rabbitmq.com/amqp-0-9-1-reference#constants>.
pub(super) fn broker_reply(error: &lapin::Error) -> Option<(u16, String)> {
    match error.kind() {
        ErrorKind::ProtocolError(reply) => Some((reply.get_id(), reply.get_message().to_string())),
        _ => None,
    }
}

/// Waits for a call to the broker, with a timeout.
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
    /// A node that is not connected yet.
    ///
    /// # Errors
    /// If the URL has a part that is unknown to AMQP.
    pub fn new(url: ServiceUrl, client_name: impl Into<String>) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = url.reveal().parse().map_err(BrokerError::Url)?;
        // The library takes an IPv6 address for the default host, and a path of "/" for a virtual host without a name.
        url.host().clone_into(&mut uri.authority.host);
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
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

    /// The same node with a separate connection, for work that must continue when the other is blocked.
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

    /// Opens a channel, and a connection first if there is none.
    ///
    /// # Errors
    /// If RabbitMQ cannot be reached, denies access, or does not respond.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take() {
            Some(connection) if connection.status().connected() => connection,
            _ => self.connect().await?,
        };
        let opened = within_timeout("open a channel", connection.create_channel()).await;
        // A connection that cannot open a channel is discarded: the next call opens a new one.
        if opened.is_ok() {
            *slot = Some(connection);
        }
        opened
    }

    /// Whether RabbitMQ has blocked publishing because it is short of memory or disk.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status
            .as_ref()
            .is_some_and(|status| status.connected() && status.blocked())
    }

    /// Closes the connection gracefully.
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
            // 403 ACCESS_REFUSED: wrong user or password. 530 NOT_ALLOWED: the virtual host does not exist or is not
            // permitted.
            Some((403 | 530, reason)) => BrokerError::Refused { url, reason },
            _ => BrokerError::Connect { url, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_means_what_it_says() {
        for (text, host, vhost) in [
            ("amqp://[::1]:5672/", "::1", "/"),
            ("amqp://127.0.0.1:5672", "127.0.0.1", "/"),
            ("amqp://mq.example/alps", "mq.example", "alps"),
            ("amqp://mq.example/%2Falps", "mq.example", "/alps"),
        ] {
            let broker = Broker::new(ServiceUrl::amqp(text).unwrap(), "test").unwrap();
            assert_eq!(broker.uri.authority.host, host, "{text}");
            assert_eq!(broker.vhost(), vhost, "{text}");
        }
    }
}
