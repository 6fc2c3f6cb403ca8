//! Nodes that come, go and return, heard by a console with a clock of its own.

use skilift_core::control::heartbeat::{ApiReport, ConsumerReport, WorkerReport};
use skilift_core::control::{ApiSettings, BootId, WorkerSettings};
use skilift_core::health::{Health, Readiness};

use super::*;
use crate::view::nodes::NodeState;

/// A worker's heartbeat, which took so many messages of ten rides.
pub(crate) fn worker(port: u16, boot: BootId, started: u64, sent: u64, took: u64) -> Heartbeat {
    let report = WorkerReport {
        settings: WorkerSettings {
            threads: 1,
            prefetch: 4000,
            batch: 1000,
            linger_ms: 25,
        },
        busy_ms: sent.saturating_sub(started) / 2,
        applied_rides: took * 10,
        duplicate_rides: 0,
        dead_lines: 0,
        delivered_messages: took,
        delivered_rides: took * 10,
        acked_messages: took,
        acked_rides: took * 10,
        redelivered_messages: 0,
        oldest_unacked_accepted_at_ms: Some(sent.saturating_sub(100)),
        accept_to_stored_ms: None,
        consumers: vec![ConsumerReport {
            thread: 0,
            prefetch_messages: 16,
            unacked_messages: 3,
            acked_messages: took,
            acked_rides: took * 10,
            last_ack_at_ms: Some(sent),
            blocked_reason: None,
        }],
    };
    heartbeat(
        Role::Worker,
        port,
        boot,
        started,
        sent,
        Report::Worker(report),
    )
}

/// An API node's heartbeat, which accepted so many rides.
pub(crate) fn api(port: u16, boot: BootId, started: u64, sent: u64, accepted: u64) -> Heartbeat {
    let report = ApiReport {
        settings: ApiSettings {
            channels: 1,
            message_rides: 256,
            max_in_flight: 20_000,
        },
        channels: 1,
        accepted_rides: accepted,
        refused_requests: 0,
        denied_requests: 0,
        unkeyed_requests: 0,
        reads: 0,
        in_flight_rides: 0,
        backlog_rides: None,
        shedding: Vec::new(),
        confirmed: Vec::new(),
        post_us: None,
        keys_serial: 0,
    };
    heartbeat(Role::Api, port, boot, started, sent, Report::Api(report))
}

fn heartbeat(
    role: Role,
    port: u16,
    boot: BootId,
    started_at_ms: u64,
    sent_at_ms: u64,
    report: Report,
) -> Heartbeat {
    Heartbeat {
        node: NodeId::new(role, "host", port),
        boot_id: boot,
        host: "host".to_owned(),
        instance_id: None,
        version: "0.1.0".to_owned(),
        started_at_ms,
        number: sent_at_ms,
        sent_at_ms,
        generation: None,
        activity: Activity::Active,
        health: Health::plain(Readiness::Ready),
        cpu_ms: 0,
        cores: 4,
        rss_bytes: 1,
        memory_bytes: 2,
        report,
    }
}

/// Hears nothing at `now`, but could.
fn pass(registry: &mut NodeRegistry, now: u64) -> NodeState {
    registry.mark_connected(now);
    registry.check_liveness(now);
    registry.nodes().next().unwrap().state()
}

#[test]
fn a_silent_node_is_lost_and_returns() {
    let (mut registry, boot) = (NodeRegistry::default(), BootId::random());
    registry.record(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
    for now in [0, 1_000, 2_000, 3_000, 4_000, 4_999] {
        assert_eq!(pass(&mut registry, now), NodeState::Ready);
    }
    assert_eq!(pass(&mut registry, 5_000), NodeState::Lost);
    assert_eq!(registry.since_worker_lost(6_000), Some(1_000));
    assert!(registry.roster(0).nodes[0].is_gone && registry.held() == 0);
    registry.record(worker(1, boot, 1_000, 9_000, 6), 7_000, 9_000);
    assert_eq!(pass(&mut registry, 7_000), NodeState::Ready);
    for now in (8_000..=13_000).step_by(1_000) {
        pass(&mut registry, now);
    }
    registry.check_liveness(7_000 + REMOVED_AFTER_MS);
    assert_eq!(registry.nodes().count(), 0);
}

#[test]
fn a_node_that_said_so_has_ended_and_is_not_lost() {
    let (mut registry, boot) = (NodeRegistry::default(), BootId::random());
    registry.record(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
    let last = Heartbeat {
        activity: Activity::Stopped,
        ..worker(1, boot, 1_000, 2_500, 5)
    };
    registry.record(last, 500, 2_500);
    for now in [500, 60_000] {
        registry.mark_connected(now);
        assert_eq!(pass(&mut registry, now), NodeState::Stopped);
        let node = registry.nodes().next().unwrap();
        assert!(!node.is_lost() && registry.roster(0).nodes[0].is_gone);
        assert_eq!(registry.live(Role::Worker).count(), 0);
    }
    // Its next boot is accepted, whatever its clock shows.
    registry.record(worker(1, BootId::random(), 100, 300, 1), 61_000, 62_000);
    assert_eq!(pass(&mut registry, 61_000), NodeState::Ready);
}

#[test]
fn a_clock_that_is_set_back_hides_nobody_and_a_past_is_no_news() {
    let (mut registry, first) = (NodeRegistry::default(), BootId::random());
    registry.record(worker(1, first, 1_000_000, 1_002_000, 500), 0, 1_002_000);
    // What it took before it was heard is not taken now.
    assert_eq!(registry.delivered_messages(), 0);
    let beat = |number, sent, took| Heartbeat {
        number,
        ..worker(1, first, 1_000_000, sent, took)
    };
    registry.record(beat(1_002_001, 400_000, 503), 1_000, 1_003_000);
    assert_eq!(registry.delivered_messages(), 3);
    // A late heartbeat of the previous boot is no new boot; one that arrives after that boot fell silent is.
    let second = || worker(1, BootId::random(), 300_000, 302_000, 1);
    registry.record(second(), 2_000, 1_004_000);
    assert_eq!(registry.nodes().next().unwrap().last.boot_id, first);
    registry.record(second(), 3_000, 1_005_000);
    assert_ne!(registry.nodes().next().unwrap().last.boot_id, first);
}

#[test]
fn a_node_that_starts_is_not_unavailable() {
    let state = |sent| {
        let mut registry = NodeRegistry::default();
        let mut beat = worker(1, BootId::random(), 1_000, sent, 0);
        beat.health = Health::because(Readiness::Starting, "connects");
        registry.record(beat, 0, sent);
        pass(&mut registry, 100)
    };
    assert_eq!(state(3_000), NodeState::Starting);
    assert_eq!(state(11_000), NodeState::Unavailable);
}

#[test]
fn counts_go_on_over_lives_and_late_heartbeats_change_nothing() {
    let mut registry = NodeRegistry::default();
    let (first, second) = (BootId::random(), BootId::random());
    registry.record(worker(1, first, 1_000, 2_000, 5), 0, 2_000);
    registry.record(worker(1, first, 1_000, 3_000, 9), 1_000, 3_000);
    registry.record(worker(1, first, 1_000, 2_500, 7), 1_100, 3_100);
    // It was heard late: what it had taken before is not counted.
    assert_eq!(registry.delivered_messages(), 4);
    registry.record(worker(1, second, 4_000, 5_000, 2), 3_000, 5_000);
    registry.record(worker(1, first, 1_000, 5_500, 11), 3_500, 5_500);
    assert_eq!(registry.delivered_messages(), 6);
    assert_eq!(registry.nodes().next().unwrap().last.boot_id, second);
}

#[test]
fn nobody_is_lost_while_nobody_can_be_heard() {
    let (mut registry, boot) = (NodeRegistry::default(), BootId::random());
    registry.record(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
    pass(&mut registry, 1_000);
    registry.mark_disconnected();
    registry.check_liveness(60_000);
    assert_eq!(registry.nodes().next().unwrap().state(), NodeState::Ready);
    // Then it has the whole time again.
    for now in [61_000, 62_000, 63_000, 64_000, 65_900] {
        assert_eq!(pass(&mut registry, now), NodeState::Ready);
    }
    assert_eq!(pass(&mut registry, 66_000), NodeState::Lost);
    assert_eq!(registry.since_worker_lost(66_000), Some(0));
}

#[test]
fn when_everybody_falls_silent_together_nobody_is_lost() {
    let (mut registry, boot) = (NodeRegistry::default(), BootId::random());
    registry.record(worker(1, boot, 1_000, 2_000, 5), 0, 2_000);
    // The way stalls: no heartbeat comes, no answer and no failure.
    registry.check_liveness(2_000);
    assert!(!registry.is_disconnected(2_000));
    registry.check_liveness(9_000);
    assert_eq!(registry.nodes().next().unwrap().state(), NodeState::Ready);
    assert!(registry.is_disconnected(9_000));
    // It answers again: from then on silence counts.
    assert_eq!(pass(&mut registry, 20_000), NodeState::Ready);
    assert!(!registry.is_disconnected(20_000) && registry.connected_for_ms(20_500) == 0);
    for now in [22_000, 24_000, 24_900] {
        assert_eq!(pass(&mut registry, now), NodeState::Ready);
    }
    assert_eq!(pass(&mut registry, 25_000), NodeState::Lost);
}

#[test]
fn there_are_never_too_many() {
    let mut registry = NodeRegistry::default();
    for port in 0..2_100 {
        let beat = worker(port, BootId::random(), 1_000, 2_000, 1);
        registry.record(beat, u64::from(port), 2_000);
    }
    assert_eq!(registry.nodes().count(), MAX_NODES);
    // The ones that were silent longest went.
    assert!(registry.nodes().all(|node| node.received_at >= 100));
}

#[test]
fn a_lost_node_whose_instance_runs_another_one_is_forgotten() {
    let mut registry = NodeRegistry::default();
    let on = |port: u16, instance: &str, now: u64| Heartbeat {
        instance_id: Some(instance.to_owned()),
        ..worker(port, BootId::random(), now, now, 0)
    };
    registry.record(on(1, "i-1", 1_000), 1_000, 1_000);
    registry.record(on(2, "i-2", 1_000), 1_000, 1_000);
    for second in 2..=8 {
        pass(&mut registry, second * 1_000);
    }
    let ports = |registry: &NodeRegistry| -> Vec<String> {
        let nodes = registry.nodes();
        nodes.map(|node| node.last.node.to_string()).collect()
    };
    assert_eq!(ports(&registry), ["worker-host-1", "worker-host-2"]);
    registry.record(on(3, "i-1", 9_000), 9_000, 9_000);
    pass(&mut registry, 9_000);
    assert_eq!(ports(&registry), ["worker-host-2", "worker-host-3"]);
}

#[test]
fn two_processes_of_one_name_are_named() {
    let mut registry = NodeRegistry::default();
    let (older, newer) = (BootId::random(), BootId::random());
    let named = |registry: &NodeRegistry, now| registry.with_rivals(now).count();
    registry.record(worker(1, older, 1_000, 1_000, 0), 1_000, 1_000);
    registry.record(worker(1, newer, 2_000, 2_000, 0), 2_000, 2_000);
    // A heartbeat that was late is none of a second process.
    registry.record(worker(1, older, 1_000, 1_900, 0), 2_100, 2_100);
    assert_eq!(named(&registry, 2_100), 0);
    for now in (3_000..=9_000).step_by(1_000) {
        registry.record(worker(1, newer, 2_000, now, 0), now, now);
        registry.record(worker(1, older, 1_000, now, 0), now + 100, now + 100);
        assert_eq!(
            named(&registry, now + 100),
            usize::from(now >= 4_000),
            "{now}"
        );
    }
    let known = registry.nodes().next().unwrap();
    assert_eq!(known.last.boot_id, newer);
    // Until one of them is stopped.
    registry.record(worker(1, newer, 2_000, 19_000, 0), 19_000, 19_000);
    assert_eq!(named(&registry, 19_000), 1);
    registry.record(worker(1, newer, 2_000, 20_000, 0), 20_000, 20_000);
    assert_eq!(named(&registry, 20_000), 0);
}
