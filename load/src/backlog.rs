//! How many rides wait in the queue of a server of ours: `backlogRides` of `GET /statistics`, asked once a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::connection::{Answer, Connection};
use crate::path;
use crate::plan::LoadConfig;
use crate::sender::Shared;

const EVERY: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Statistics {
    /// Absent on servers that are not ours, null while ours does not know.
    #[serde(rename = "backlogRides", default, deserialize_with = "present")]
    backlog_rides: Option<Option<f64>>,
}

/// Tells null from absence.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<f64>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// What a server says of its queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Backlog {
    /// So many rides wait.
    Rides(f64),
    /// It is a server of ours, and does not know at the moment.
    Unknown,
    /// The server is not ours.
    Untold,
}

/// Reads what a server says of its queue.
pub(crate) fn read(answer: &Answer) -> Backlog {
    let told = (answer.status == 200)
        .then(|| serde_json::from_slice::<Statistics>(&answer.body).ok())
        .flatten()
        .and_then(|statistics| statistics.backlog_rides);
    match told {
        None => Backlog::Untold,
        Some(None) => Backlog::Unknown,
        Some(Some(rides)) => Backlog::Rides(rides),
    }
}

/// Asks once a second, until the answer is dropped or turns out not to come from a server of ours. These requests are not
/// counted.
pub(crate) fn watch(config: &LoadConfig, shared: Arc<Shared>, start: Instant) -> JoinSet<()> {
    let mut connection = Connection::new(config.target.clone(), config.timeout);
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // A server that does not answer may answer the next time.
            let Ok(answer) = connection.get(path::STATISTICS).await else {
                continue;
            };
            match read(&answer) {
                Backlog::Rides(rides) => shared.measure.backlog(start.elapsed(), rides),
                Backlog::Unknown => {}
                // A server of ours under stress answers 503 and tells later.
                Backlog::Untold if answer.status >= 500 => {}
                Backlog::Untold => return,
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
            read(&Answer {
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
        assert_eq!(told(200, r#"{"endpointStats":[]}"#), Backlog::Untold);
        assert_eq!(told(200, "hello"), Backlog::Untold);
        assert_eq!(told(404, r#"{"backlogRides":12}"#), Backlog::Untold);
    }
}
