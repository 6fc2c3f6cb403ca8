//! Nodes that only beat: what a console hears of a large fleet.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::{Activity, ConsumerReport, Report, WorkerReport};
use skilift_core::control::redis::RedisControlChannel;
use skilift_core::control::{BootId, ControlChannel, Heartbeat, NodeId, Role, WorkerSettings};
use skilift_core::health::{Health, Readiness};
use skilift_core::service_url::ServiceUrl;
use tokio::task::JoinSet;

use crate::setup::Setup;

/// Consumers of each node.
const CONSUMERS: u32 = 16;
/// Rides that each node says it stores in a second.
const RIDES_PER_S: u64 = 250;

pub(super) struct SimulatedNodes(JoinSet<()>);

impl SimulatedNodes {
    pub(super) fn start(setup: &Setup, nodes: usize) -> anyhow::Result<Self> {
        let url = ServiceUrl::redis(&setup.redis.url())?;
        let control_channel = Arc::new(RedisControlChannel::new(&url, &setup.stack)?);
        let mut beating = JoinSet::new();
        for number in 0..nodes {
            let port = u16::try_from(10_000 + number).context("too many nodes")?;
            let node = NodeId::new(Role::Worker, "simulated", port);
            beating.spawn(beat(
                Arc::clone(&control_channel),
                node,
                BootId::random(),
                epoch_ms(),
            ));
        }
        Ok(Self(beating))
    }

    pub(super) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn beat(
    control_channel: Arc<RedisControlChannel>,
    node: NodeId,
    boot: BootId,
    started_at_ms: u64,
) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for seconds in 0.. {
        ticks.tick().await;
        let rides = seconds * RIDES_PER_S;
        let consumers = (0..CONSUMERS).map(|consumer| ConsumerReport {
            thread: consumer,
            prefetch_messages: 16,
            unacked_messages: 2,
            acked_messages: rides / 64,
            acked_rides: rides / u64::from(CONSUMERS),
            last_ack_at_ms: Some(epoch_ms()),
            blocked_reason: None,
        });
        let heartbeat = Heartbeat {
            node: node.clone(),
            boot_id: boot,
            host: "simulated".to_owned(),
            instance_id: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            number: seconds,
            started_at_ms,
            sent_at_ms: epoch_ms(),
            generation: None,
            activity: Activity::Active,
            health: Health::plain(Readiness::Ready),
            cpu_ms: seconds * 100,
            cores: 2,
            rss_bytes: 40 << 20,
            memory_bytes: 4 << 30,
            report: Report::Worker(WorkerReport {
                settings: WorkerSettings {
                    threads: CONSUMERS,
                    prefetch: 4000,
                    batch: 1000,
                    linger_ms: 25,
                },
                busy_ms: seconds * 500,
                applied_rides: rides,
                duplicate_rides: 0,
                dead_lines: 0,
                delivered_messages: rides / 64,
                delivered_rides: rides,
                acked_messages: rides / 64,
                acked_rides: rides,
                redelivered_messages: 0,
                oldest_unacked_accepted_at_ms: Some(epoch_ms() - 20),
                accept_to_stored_ms: None,
                consumers: consumers.collect(),
            }),
        };
        // A heartbeat that is lost changes nothing.
        let _ = control_channel.send_heartbeat(&heartbeat).await;
    }
}
