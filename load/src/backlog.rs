//! Backlog of a Skilift server: `backlogRides` of `GET /statistics`, polled once per second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::connection::HttpResponse;
use crate::path;
use crate::plan::LoadConfig;
use crate::sender::Shared;

const EVERY: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Statistics {
    /// Absent on other servers, null while a Skilift server does not know it.
    #[serde(rename = "backlogRides", default, deserialize_with = "present")]
    backlog_rides: Option<Option<f64>>,
}

/// Distinguishes null from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<f64>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// The backlog reported by a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Backlog {
    /// Number of queued rides.
    Rides(f64),
    /// A Skilift server that does not know its backlog at the moment.
    Unknown,
    /// Not a Skilift server.
    NotReported,
}

/// Parses the backlog from a response.
pub(crate) fn read(answer: &HttpResponse) -> Backlog {
    let told = (answer.status == 200)
        .then(|| serde_json::from_slice::<Statistics>(&answer.body).ok())
        .flatten()
        .and_then(|statistics| statistics.backlog_rides);
    match told {
        None => Backlog::NotReported,
        Some(None) => Backlog::Unknown,
        Some(Some(rides)) => Backlog::Rides(rides),
    }
}

/// Polls once per second until the receiver is dropped or the server is not a Skilift server; these requests are not
/// counted.
pub(crate) fn watch(config: &LoadConfig, shared: Arc<Shared>, start: Instant) -> JoinSet<()> {
    let mut connection = config.connection();
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // A server that does not respond may respond to the next poll.
            let Ok(answer) = connection.get(path::STATISTICS).await else {
                continue;
            };
            match read(&answer) {
                Backlog::Rides(rides) => shared.measure.backlog(start.elapsed(), rides),
                Backlog::Unknown => {}
                // A Skilift server under load may return 503 and report its backlog later.
                Backlog::NotReported if answer.status >= 500 => {}
                Backlog::NotReported => return,
            }
        }
    });
    watching
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_ours_is_told_from_others() {
        let told = |status, body: &'static str| {
            read(&HttpResponse {
                status,
                retry_after: None,
                body: body.into(),
            })
        };
        assert_eq!(
            told(200, r#"{"backlogRides":12,"endpoints":[]}"#),
            Backlog::Rides(12.0)
        );
        assert_eq!(told(200, r#"{"backlogRides":null}"#), Backlog::Unknown);
        assert_eq!(told(200, r#"{"endpointStats":[]}"#), Backlog::NotReported);
        assert_eq!(told(200, "hello"), Backlog::NotReported);
        assert_eq!(told(404, r#"{"backlogRides":12}"#), Backlog::NotReported);
    }
}
