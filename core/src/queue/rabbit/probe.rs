//! Diagnosis of a broker by AMQP only. Nothing is created or changed.

use std::io;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::protocol::connection;
use lapin::types::AMQPValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::broker::{Broker, BrokerError, CALL_TIMEOUT, within_timeout};
use super::topology;
use crate::service_url::ServiceUrl;
use crate::stack::StackName;

/// How long RabbitMQ may take to report that it blocks publishers. It does so only after a publish.
const BLOCKED_WITHIN: Duration = Duration::from_millis(500);
/// Default port.
const PORT: u16 = 5672;
/// A routing key without a queue: the message is dropped.
const NOWHERE: &str = "skictl.doctor.nowhere";
/// Maximum size of the broker's first frame, in bytes.
const MAX_GREETING: usize = 64 * 1024;

/// A queue that was probed.
#[derive(Debug)]
pub struct ProbedQueue {
    /// Its name.
    pub name: String,
    /// `None` if the queue does not exist.
    pub found: Option<FoundQueue>,
}

/// A queue that exists.
#[derive(Debug)]
pub struct FoundQueue {
    /// Ready messages, without delivered ones.
    pub ready: u32,
    /// Consumers.
    pub consumers: u32,
    /// Why it cannot be used: it has other arguments than declared by this version, or the user may not declare it.
    pub refusal: Option<BrokerError>,
}

/// Product and version of a broker, for example "RabbitMQ 4.1.4". A broker reports it before the login.
///
/// # Errors
/// If it cannot be reached, uses TLS, or is not an AMQP broker.
pub async fn product(url: &ServiceUrl) -> io::Result<String> {
    let (host, port) = (url.host(), url.port().unwrap_or(PORT));
    let asking = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        // https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.2
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut greeting = Vec::new();
        loop {
            let read = stream.read_buf(&mut greeting).await?;
            if let Some(payload) = first_frame(&greeting) {
                return describe(payload);
            }
            if read == 0 || greeting.len() > MAX_GREETING {
                return Err(no_broker());
            }
        }
    };
    let asked = tokio::time::timeout(CALL_TIMEOUT, asking).await;
    asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn no_broker() -> io::Error {
    io::Error::other("the peer is not an AMQP broker")
}

/// The payload of the first frame, if complete: type, channel, length, payload, end.
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(3..7)?.try_into().ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    bytes.get(7..)?.get(..length)
}

/// Reads `connection.start`, which is method 10 of class 10.
fn describe(payload: &[u8]) -> io::Result<String> {
    let arguments = payload
        .strip_prefix(&[0, 10, 0, 10])
        .ok_or_else(no_broker)?;
    let (_, start) = connection::parse_start(arguments).map_err(|_| no_broker())?;
    let property = |name: &str| match start.server_properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        _ => "unknown".to_owned(),
    };
    Ok(format!("{} {}", property("product"), property("version")))
}

/// Whether RabbitMQ blocks publishers because it is short of memory or disk. It notifies only publishers, so a message
/// without a target queue is sent.
///
/// # Errors
/// If RabbitMQ cannot be reached or denies access.
pub async fn is_blocking(broker: &Broker) -> Result<bool, BrokerError> {
    let channel = broker.channel().await?;
    let publishing = channel.basic_publish(
        "".into(),
        NOWHERE.into(),
        BasicPublishOptions::default(),
        b"",
        BasicProperties::default(),
    );
    within_timeout("accept a message", publishing).await?;
    let deadline = tokio::time::Instant::now() + BLOCKED_WITHIN;
    while tokio::time::Instant::now() < deadline {
        if broker.is_blocked() {
            return Ok(true);
        }
        tokio::time::sleep(BLOCKED_WITHIN / 20).await;
    }
    Ok(false)
}

/// The current queues of the stack. Missing ones are not created.
///
/// # Errors
/// If RabbitMQ cannot be reached or denies access.
pub async fn queues(broker: &Broker, stack: &StackName) -> Result<Vec<ProbedQueue>, BrokerError> {
    let mut probed = Vec::new();
    for name in [stack.ride_queue(), stack.dead_letter_queue()] {
        // An error closes the channel.
        let channel = broker.channel().await?;
        let found = topology::queue_length(&channel, &name).await?;
        let found = match found {
            None => None,
            Some(length) => Some(FoundQueue {
                ready: length.ready,
                consumers: length.consumers,
                // It exists, so declaring it creates nothing.
                refusal: topology::declare_queue(&channel, name.clone()).await.err(),
            }),
        };
        probed.push(ProbedQueue { name, found });
    }
    Ok(probed)
}
