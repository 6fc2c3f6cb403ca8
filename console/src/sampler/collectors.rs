//! What is polled over the network: heartbeats, queue depth, reconciliation. Each has its own polling task.

use std::convert::Infallible;
use std::time::Duration;

use skilift_core::clock::{epoch_ms, full_second};
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{ControlError, Heartbeat};
use skilift_core::lifecycle::chain;
use tokio::sync::mpsc;

use crate::console::Console;

/// How often an echo is sent, and a lost connection is made again.
const INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of an echo over the control channel.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// Receives heartbeats.
pub(super) async fn receive_heartbeats(console: &Console) -> Infallible {
    let monitor = &console.monitor;
    loop {
        let listening =
            tokio::time::timeout(TIMEOUT, console.sources.control_channel.heartbeats()).await;
        let why = match listening {
            Ok(Ok(heartbeats)) => {
                record_connected(console);
                listen(console, heartbeats).await
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no response within {} s", TIMEOUT.as_secs()),
        };
        monitor.state().registry.mark_disconnected();
        monitor.collectors().last_error = Some(why);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Receives heartbeats until the connection is lost, and returns the reason. A stalled connection is not reported as lost
/// and delivers nothing: so an echo is sent each second, and only while it is answered does a missing heartbeat mean that a
/// node is silent.
async fn listen(console: &Console, mut heartbeats: mpsc::Receiver<Heartbeat>) -> String {
    let monitor = &console.monitor;
    let echoing = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let asked =
                tokio::time::timeout(ECHO_TIMEOUT, console.sources.control_channel.document());
            match asked.await {
                // Only that it answers matters here.
                Ok(Ok(_) | Err(ControlError::Unreadable { .. })) => record_connected(console),
                Ok(Err(error)) => monitor.collectors().last_error = Some(chain(&error)),
                Err(_) => monitor.collectors().last_error = None,
            }
        }
    };
    let receiving = async {
        while let Some(heartbeat) = heartbeats.recv().await {
            if let Some(figure) = heartbeat.implausible() {
                let node = &heartbeat.node;
                tracing::warn!(%node, "ignored a heartbeat of {node}: {figure} is impossible");
                continue;
            }
            let (now, epoch_ms) = (monitor.now(), epoch_ms());
            console.desired.learn_flags(&heartbeat);
            let mut state = monitor.state();
            if let Report::Api(api) = &heartbeat.report {
                let publisher = heartbeat.node.to_string();
                state.epochs.record(&publisher, &api.confirmed, epoch_ms);
            }
            if let Some(measurement) = &mut state.measurement {
                measurement.record(&heartbeat, now);
            }
            state.registry.record(heartbeat, now, epoch_ms);
        }
    };
    tokio::select! {
        () = receiving => {}
        () = echoing => {}
    }
    "connection lost".to_owned()
}

/// Records that the control channel works.
fn record_connected(console: &Console) {
    let monitor = &console.monitor;
    let now = monitor.now();
    monitor.state().registry.mark_connected(now);
    monitor.collectors().last_error = None;
}

/// Polls the queue depth at each full second.
pub(super) async fn poll_queue_depth(console: &Console) -> Infallible {
    loop {
        let asked = tokio::time::timeout(TIMEOUT, console.sources.depth.depth()).await;
        let answer = match asked {
            Ok(depth) => depth.map_err(|error| chain(&error)),
            Err(_) => Err(format!(
                "the queue did not respond within {} s",
                TIMEOUT.as_secs()
            )),
        };
        let now = console.monitor.now();
        console.monitor.collectors().depth.take(answer, now);
        full_second().await;
    }
}

/// Polls the reconciliation counters at each full second.
pub(super) async fn poll_reconciliation(console: &Console) -> Infallible {
    loop {
        let asked = tokio::time::timeout(TIMEOUT, console.sources.reader.reconciliation()).await;
        let answer = match asked {
            Ok(books) => books.map_err(|error| chain(&error)),
            Err(_) => Err(format!(
                "the store did not respond within {} s",
                TIMEOUT.as_secs()
            )),
        };
        let now = console.monitor.now();
        console.monitor.collectors().books.take(answer, now);
        full_second().await;
    }
}
