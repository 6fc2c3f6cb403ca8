//! A node's agent: what it says, and what it follows.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Activity;
use skilift_core::control::{
    Agent, BootId, ControlChannel, DesiredState, Document, DrainRequest, Heartbeat, Identity,
    LocalControlChannel, RedisControlChannel, Role, Status,
};
use skilift_core::service_url::ServiceUrl;
use skilift_servers::{RedisOptions, RedisServer};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::control::heartbeat;
use crate::shared::fresh_stack;

/// How long a test waits for what must come.
const TIMEOUT: Duration = Duration::from_secs(60);

fn status(like: &Heartbeat) -> Status {
    Status {
        generation: None,
        activity: Activity::Active,
        health: like.health.clone(),
        report: like.report.clone(),
    }
}

fn drained(serial: u64, identity: &Identity, boot: BootId, until_ms: Option<u64>) -> Document {
    Document {
        serial,
        drains: vec![DrainRequest {
            node: identity.node.clone(),
            boot_id: boot,
            plan: "p1".to_owned(),
            expires_at_ms: until_ms,
        }],
        ..Document::default()
    }
}

async fn until(
    desired_state: &mut Receiver<DesiredState>,
    what: &str,
    holds: impl Fn(&DesiredState) -> bool,
) {
    let waiting = tokio::time::timeout(TIMEOUT, desired_state.wait_for(|state| holds(state)));
    assert!(waiting.await.is_ok(), "waited in vain until {what}");
}

#[tokio::test]
async fn a_node_beats_each_second_with_what_it_uses() {
    let control_channel: Arc<dyn ControlChannel> = Arc::new(LocalControlChannel::default());
    let mut heard = control_channel.heartbeats().await.unwrap();
    let identity = Identity::new(Role::Worker, 9464);
    let agent = Agent::begin(identity.clone(), control_channel, None)
        .await
        .unwrap();
    assert!(agent.desired_state().borrow().is_known, "nothing was said");
    let like = heartbeat("any");
    let mut running = JoinSet::new();
    let end = CancellationToken::new();
    running.spawn(agent.run(end.clone(), move || status(&like)));
    let first = heard.recv().await.unwrap();
    assert_eq!(first.instance_id, None, "nothing is known of it yet");
    identity
        .instance
        .set("i-0123456789abcdef0".to_owned())
        .unwrap();
    let second = heard.recv().await.unwrap();
    assert_eq!(second.instance_id.as_deref(), Some("i-0123456789abcdef0"));
    assert_eq!(
        (&first.node, first.boot_id),
        (&identity.node, identity.boot)
    );
    assert_eq!(
        (second.boot_id, &second.host),
        (first.boot_id, &identity.host)
    );
    // The first one says at once that it is there, and each other one is of a full second.
    let apart = second.sent_at_ms - first.sent_at_ms;
    assert!((100..1500).contains(&apart), "{apart} ms");
    assert!(second.sent_at_ms % 1_000 < 500, "{}", second.sent_at_ms);
    assert!(first.rss_bytes > 1 << 20, "{}", first.rss_bytes);
    assert!(second.cpu_ms >= first.cpu_ms && first.started_at_ms <= first.sent_at_ms);
    end.cancel();
    running.join_next().await.unwrap().unwrap();
    let last = heard.try_recv().unwrap();
    assert!(
        last.sent_at_ms - second.sent_at_ms < 900,
        "it says good-bye at once"
    );
}

#[tokio::test]
async fn a_node_follows_newer_documents_alone_and_drains_in_one_life_until_its_lease_ends() {
    let control_channel = Arc::new(LocalControlChannel::default());
    let identity = Identity::new(Role::Worker, 9464);
    control_channel
        .publish(&drained(5, &identity, BootId::random(), None))
        .await
        .unwrap();
    let agent = Agent::begin(identity.clone(), Arc::clone(&control_channel) as _, None).await;
    let agent = agent.unwrap();
    let mut desired_state = agent.desired_state();
    let serial = |state: &DesiredState| state.document.as_ref().map(|document| document.serial);
    assert_eq!(serial(&desired_state.borrow()), Some(5));
    assert_eq!(
        desired_state.borrow().drain,
        None,
        "a drain request for another boot"
    );

    let like = heartbeat("any");
    let mut running = JoinSet::new();
    running.spawn(agent.run(CancellationToken::new(), move || status(&like)));
    let lease_ends = epoch_ms() + 1500;
    control_channel
        .publish(&drained(6, &identity, identity.boot, Some(lease_ends)))
        .await
        .unwrap();
    until(&mut desired_state, "it drains", |state| {
        state.drain.is_some()
    })
    .await;
    until(&mut desired_state, "its lease ends", |state| {
        state.drain.is_none()
    })
    .await;
    assert!(epoch_ms() >= lease_ends);
    assert_eq!(serial(&desired_state.borrow()), Some(6));
    control_channel
        .publish(&drained(7, &identity, identity.boot, None))
        .await
        .unwrap();
    until(&mut desired_state, "it drains", |state| {
        state.drain.is_some()
    })
    .await;
}

#[tokio::test]
async fn without_redis_and_after_its_loss_the_last_document_stands() {
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = ServiceUrl::redis(&server.url()).unwrap();
    let stack = fresh_stack("agent");
    let control_channel = Arc::new(RedisControlChannel::new(&url, &stack).unwrap());
    let document = |serial| Document {
        serial,
        ..Document::default()
    };
    control_channel.publish(&document(3)).await.unwrap();
    let identity = Identity::new(Role::Worker, 9464);
    let agent = Agent::begin(identity, Arc::clone(&control_channel) as _, None).await;
    let agent = agent.unwrap();
    let mut desired_state = agent.desired_state();
    let like = heartbeat("any");
    let mut running = JoinSet::new();
    running.spawn(agent.run(CancellationToken::new(), move || status(&like)));

    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
    for older in [document(1), document(3)] {
        let publishing = async {
            while control_channel.publish(&older).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, publishing).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(desired_state.borrow().document.as_ref().unwrap().serial, 3);
    }
    control_channel.publish(&document(4)).await.unwrap();
    until(
        &mut desired_state,
        "the new document is followed",
        |state| state.document.as_ref().unwrap().serial == 4,
    )
    .await;
}
