//! Both ways between nodes and console.

use std::time::Duration;

use skilift_core::control::heartbeat::{Activity, Report, WorkerReport};
use skilift_core::control::{
    BootId, ControlChannel, Document, Heartbeat, IngestKey, IngestKeys, LocalControlChannel,
    NodeId, RedisControlChannel, Role, WorkerSettings,
};
use skilift_core::health::{Health, Readiness};
use skilift_core::service_url::ServiceUrl;
use skilift_servers::{RedisOptions, RedisServer, shared_redis_url};
use tokio::sync::mpsc::Receiver;

use crate::shared::fresh_stack;

fn redis_control_channel(url: &str) -> RedisControlChannel {
    RedisControlChannel::new(&ServiceUrl::redis(url).unwrap(), &fresh_stack("control")).unwrap()
}

fn control_channels() -> [Box<dyn ControlChannel>; 2] {
    [
        Box::new(redis_control_channel(&shared_redis_url())),
        Box::new(LocalControlChannel::default()),
    ]
}

fn document(serial: u64, plan: &str) -> Document {
    let pause = skilift_core::control::Pause {
        paused_at_ms: 7,
        paused_by: plan.to_owned(),
        resumes_at_ms: None,
    };
    Document {
        serial,
        pause: Some(pause),
        ..Document::default()
    }
}

pub(crate) fn heartbeat(host: &str) -> Heartbeat {
    let settings = WorkerSettings {
        threads: 2,
        prefetch: 4000,
        batch: 1000,
        linger_ms: 25,
    };
    Heartbeat {
        node: NodeId::new(Role::Worker, host, 9464),
        boot_id: BootId::random(),
        host: host.to_owned(),
        instance_id: None,
        version: "0.1.0".to_owned(),
        started_at_ms: 1,
        number: 1,
        sent_at_ms: 2,
        generation: None,
        activity: Activity::Drained {
            plan: "p1".to_owned(),
        },
        health: Health::plain(Readiness::Ready),
        cpu_ms: 3,
        cores: 2,
        rss_bytes: 4,
        memory_bytes: 8,
        report: Report::Worker(WorkerReport {
            settings,
            busy_ms: 5,
            applied_rides: 6,
            duplicate_rides: 7,
            dead_lines: 8,
            delivered_messages: 9,
            delivered_rides: 10,
            acked_messages: 11,
            acked_rides: 12,
            redelivered_messages: 13,
            oldest_unacked_accepted_at_ms: Some(14),
            accept_to_stored_ms: Some("HISTFAAA".to_owned()),
            consumers: Vec::new(),
        }),
    }
}

async fn hear(heard: &mut Receiver<Heartbeat>) -> Option<Heartbeat> {
    let hearing = tokio::time::timeout(Duration::from_secs(60), heard.recv());
    hearing.await.expect("a heartbeat within 10 s")
}

#[tokio::test]
async fn an_older_document_never_replaces_a_newer_one() {
    for control_channel in control_channels() {
        assert_eq!(control_channel.document().await.unwrap(), None);
        let second = document(2, "second");
        assert_eq!(control_channel.publish(&second).await.unwrap(), 2);
        assert_eq!(
            control_channel.publish(&document(1, "late")).await.unwrap(),
            2
        );
        assert_eq!(
            control_channel
                .publish(&document(2, "other"))
                .await
                .unwrap(),
            2
        );
        assert_eq!(control_channel.document().await.unwrap(), Some(second));
        assert_eq!(
            control_channel
                .publish(&document(3, "third"))
                .await
                .unwrap(),
            3
        );
        assert_eq!(control_channel.document().await.unwrap().unwrap().serial, 3);
    }
}

#[tokio::test]
async fn ingest_keys_are_published_by_their_own_serial() {
    let keys = |serial| IngestKeys {
        serial,
        keys: vec![IngestKey {
            id: "gates".to_owned(),
            sha256: "0".repeat(64),
            resorts: Some(vec![skilift_core::ride::ResortId::new(3).unwrap()]),
        }],
    };
    for control_channel in control_channels() {
        assert_eq!(control_channel.ingest_keys().await.unwrap(), None);
        assert_eq!(
            control_channel.publish(&document(9, "else")).await.unwrap(),
            9
        );
        assert_eq!(
            control_channel.publish_ingest_keys(&keys(4)).await.unwrap(),
            4
        );
        assert_eq!(
            control_channel.publish_ingest_keys(&keys(3)).await.unwrap(),
            4
        );
        assert_eq!(control_channel.ingest_keys().await.unwrap(), Some(keys(4)));
    }
}

#[tokio::test]
async fn everybody_who_listens_hears_every_heartbeat_as_it_was_sent() {
    for control_channel in control_channels() {
        let sent = heartbeat("one");
        control_channel.send_heartbeat(&sent).await.unwrap();
        let mut listeners = [
            control_channel.heartbeats().await.unwrap(),
            control_channel.heartbeats().await.unwrap(),
        ];
        let other = heartbeat("other");
        control_channel.send_heartbeat(&sent).await.unwrap();
        control_channel.send_heartbeat(&other).await.unwrap();
        for heard in &mut listeners {
            assert_eq!(hear(heard).await.as_ref(), Some(&sent));
            assert_eq!(hear(heard).await.as_ref(), Some(&other));
        }
        drop(listeners);
        control_channel.send_heartbeat(&sent).await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_listen_in_time_stops_nobody() {
    for control_channel in control_channels() {
        let mut slow = control_channel.heartbeats().await.unwrap();
        let sent = heartbeat("one");
        for _ in 0..5000 {
            control_channel.send_heartbeat(&sent).await.unwrap();
        }
        assert_eq!(hear(&mut slow).await.as_ref(), Some(&sent));
    }
}

#[tokio::test]
async fn without_redis_calls_fail_in_time_and_listeners_end_and_both_come_back() {
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let control_channel = redis_control_channel(&server.url());
    control_channel.publish(&document(1, "kept")).await.unwrap();
    let mut heard = control_channel.heartbeats().await.unwrap();
    server.kill().await.unwrap();
    assert_eq!(hear(&mut heard).await, None);
    let asked = tokio::time::timeout(Duration::from_secs(60), control_channel.document()).await;
    assert!(asked.expect("an answer within 10 s").is_err());
    assert!(control_channel.heartbeats().await.is_err());
    server.start_again().await.unwrap();
    let again = async {
        while control_channel.document().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again)
        .await
        .expect("Redis is found again");
    assert_eq!(control_channel.document().await.unwrap().unwrap().serial, 1);
    let mut heard = control_channel.heartbeats().await.unwrap();
    control_channel
        .send_heartbeat(&heartbeat("one"))
        .await
        .unwrap();
    assert!(hear(&mut heard).await.is_some());
}

#[tokio::test]
async fn what_is_not_ours_is_said_to_be_so_and_gives_way() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let stack = fresh_stack("control");
    let control_channel =
        RedisControlChannel::new(&ServiceUrl::redis(&server.url()).unwrap(), &stack).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for foreign in ["not JSON", "[]", r#"{"serial":"9"}"#] {
        redis::cmd("SET")
            .arg(format!("{{{stack}}}:control"))
            .arg(foreign)
            .exec_async(&mut connection)
            .await
            .unwrap();
        let error = control_channel.document().await.unwrap_err().to_string();
        assert!(error.contains(&format!("{{{stack}}}:control")), "{error}");
        assert_eq!(
            control_channel.publish(&document(1, "ours")).await.unwrap(),
            1
        );
        assert_eq!(
            control_channel.document().await.unwrap(),
            Some(document(1, "ours"))
        );
    }
}
