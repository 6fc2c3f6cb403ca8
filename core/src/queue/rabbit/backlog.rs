//! Polls the backlog, and whether RabbitMQ blocks publishers.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use tokio_util::sync::CancellationToken;

use super::broker::{Broker, BrokerError};
use super::topology;
use crate::lifecycle::TaskError;
use crate::queue::admission::Shed;
use crate::queue::publisher::Publisher;

/// Polling interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the publisher's backlog and [`Shed::BrokerBlocked`] true until `end`.
///
/// RabbitMQ counts messages, not rides: the backlog is its count times the mean rides of the messages that this process has
/// published recently, or times 1 before the first.
pub(super) async fn watch(
    broker: Arc<Broker>,
    publishing: Arc<Broker>,
    queue: String,
    publisher: Publisher,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let mut channel = None;
    loop {
        let blocked = publishing.is_blocked();
        publisher.admission().set(Shed::BrokerBlocked, blocked);
        let looking = end.run_until_cancelled(ready(&broker, &queue, &mut channel));
        let Some(looked) = looking.await else { break };
        let rides = match looked {
            Ok(messages) => Some(f64::from(messages) * publisher.mean_rides().unwrap_or(1.0)),
            Err(error) => {
                // The publisher channels detect the same, reject rides and report the reason.
                tracing::debug!("cannot read the backlog: {error}");
                None
            }
        };
        publisher.backlog().saw(rides);
        if end
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await
            .is_none()
        {
            break;
        }
    }
    broker.close().await;
    Ok(())
}

async fn ready(
    broker: &Broker,
    queue: &str,
    open: &mut Option<Channel>,
) -> Result<u32, BrokerError> {
    let channel = match open.take() {
        Some(channel) => channel,
        None => broker.channel().await?,
    };
    let length = topology::queue_length(&channel, queue).await?;
    // A missing queue closes the channel; a publisher channel declares it again, and the queue is empty until then.
    if length.is_some() {
        *open = Some(channel);
    }
    Ok(length.map_or(0, |length| length.ready))
}
