//! Watches how many rides wait, and whether RabbitMQ is blocked.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Shed};
use super::broker::{Broker, BrokerError};
use super::lane::Lane;
use super::topology;
use crate::lifecycle::TaskError;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Rides are accepted again when the backlog has fallen to this share of the mark, in percent.
const REOPEN_PERCENT: u64 = 90;

/// Sets and clears [`Shed::Backlog`] and [`Shed::BrokerBlocked`] until `end`.
///
/// RabbitMQ counts messages, not rides: the backlog is taken as its count times the mean rides of the messages that this
/// process has published.
pub(super) async fn watch(
    broker: Arc<Broker>,
    queue: String,
    lanes: Arc<[Arc<Lane>]>,
    admission: Arc<Admission>,
    high_water_rides: u64,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let mut channel = None;
    while !end.is_cancelled() {
        admission.set(Shed::BrokerBlocked, broker.is_blocked());
        match ready(&broker, &queue, &mut channel).await {
            Ok(messages) => {
                let rides = estimate_rides(messages, &lanes);
                metrics::gauge!("skilift_backlog_rides").set(rides as f64);
                let mark = if admission.shedding() == Some(Shed::Backlog) {
                    high_water_rides / 100 * REOPEN_PERCENT
                } else {
                    high_water_rides
                };
                admission.set(Shed::Backlog, rides > mark);
            }
            // The lanes find the same out, refuse rides and say why.
            Err(error) => tracing::debug!("looking at the backlog: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = end.cancelled() => {}
        }
    }
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
    let messages = topology::ready_messages(&channel, queue).await?;
    // A missing queue closes the channel; a lane declares it anew, and holds nothing until then.
    if messages.is_some() {
        *open = Some(channel);
    }
    Ok(messages.unwrap_or(0))
}

fn estimate_rides(messages: u32, lanes: &[Arc<Lane>]) -> u64 {
    let (mut rides, mut sent) = (0, 0);
    for lane in lanes {
        let (lane_rides, lane_messages) = lane.sent();
        rides += lane_rides;
        sent += lane_messages;
    }
    if sent == 0 {
        return u64::from(messages);
    }
    u64::from(messages) * rides / sent
}
