//! The nodes of a fleet under a console, of which these tests play the part: what nodes say, and what they follow under load.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{
    ApiSettings, ControlChannel, Document, DrainRequest, Heartbeat, NodeId, Pause,
    RedisControlChannel, Role, Versioned, WorkerSettings,
};
use skilift_core::service_url::ServiceUrl;
use tokio::sync::mpsc::Receiver;

use crate::system::System;

const WORKER: WorkerSettings = WorkerSettings {
    threads: 2,
    prefetch: 4000,
    batch: 1000,
    linger_ms: 25,
};
const API: ApiSettings = ApiSettings {
    channels: 1,
    message_rides: 256,
    max_in_flight: 20_000,
};

/// As much of a console as these tests need.
struct Console {
    control_channel: RedisControlChannel,
    heard: Receiver<Heartbeat>,
    /// The last heartbeat of each node.
    nodes: BTreeMap<NodeId, Heartbeat>,
    document: Document,
}

impl Console {
    async fn of(system: &System) -> Self {
        let url = ServiceUrl::redis(&system.redis.url()).unwrap();
        let control_channel = RedisControlChannel::new(&url, &system.stack).unwrap();
        Self {
            heard: control_channel.heartbeats().await.unwrap(),
            control_channel,
            nodes: BTreeMap::new(),
            document: Document::default(),
        }
    }

    async fn publish(&mut self, change: impl FnOnce(&mut Document)) {
        self.document.serial += 1;
        change(&mut self.document);
        self.control_channel.publish(&self.document).await.unwrap();
    }

    async fn settings(&mut self, number: u64, worker: WorkerSettings, api: ApiSettings) {
        self.publish(|document| {
            document.worker = Some(Versioned::new(number, worker));
            document.api = Some(Versioned::new(number, api));
        })
        .await;
    }

    /// Listens until what is known of the nodes is so, and says how long that took.
    async fn hear(
        &mut self,
        what: &str,
        is_so: impl Fn(&BTreeMap<NodeId, Heartbeat>) -> bool,
    ) -> Duration {
        let began = Instant::now();
        while !is_so(&self.nodes) {
            let hearing = tokio::time::timeout(Duration::from_secs(60), self.heard.recv());
            let Ok(Some(heartbeat)) = hearing.await else {
                panic!("no heartbeats while waiting until {what}")
            };
            self.nodes.insert(heartbeat.node.clone(), heartbeat);
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "waited in vain until {what}: {:#?}",
                self.nodes
            );
        }
        began.elapsed()
    }

    fn of_role(&self, role: Role) -> &Heartbeat {
        let mut of_role = self.nodes.values().filter(|node| node.role() == role);
        of_role.next().unwrap()
    }
}

fn all_run(nodes: &BTreeMap<NodeId, Heartbeat>, number: u64) -> bool {
    let runs = |node: &Heartbeat| {
        node.generation
            .is_some_and(|generation| generation.version == number)
    };
    nodes.len() == 2 && nodes.values().all(runs)
}

fn has_activity(nodes: &BTreeMap<NodeId, Heartbeat>, role: Role, activity: &Activity) -> bool {
    nodes
        .values()
        .any(|node| node.role() == role && node.activity == *activity)
}

#[tokio::test]
async fn settings_reach_every_node_under_load_and_nothing_is_refused_lost_or_doubled() {
    let system = System::start().await;
    let mut console = Console::of(&system).await;
    let load = system.load();
    load.accept(2000).await;
    console
        .hear("both are heard", |nodes| nodes.len() == 2)
        .await;
    assert!(console.nodes.values().all(|node| node.generation.is_none()));
    let Report::Worker(worker) = &console.of_role(Role::Worker).report else {
        panic!("no worker")
    };
    assert_eq!(worker.settings, WORKER, "what the flags say");

    let changes = [(16, 4), (1, 1), (5, 8), (2, 1)];
    for (number, (threads, lanes)) in (1..).zip(changes) {
        let worker = WorkerSettings { threads, ..WORKER };
        console
            .settings(
                number,
                worker,
                ApiSettings {
                    channels: lanes,
                    ..API
                },
            )
            .await;
        let took = console
            .hear("all run it", |nodes| all_run(nodes, number))
            .await;
        eprintln!("{threads} threads and {lanes} lanes run everywhere after {took:?}");
        let lanes_that_run = |report: &Report| match report {
            Report::Worker(report) => report.consumers.len() as u32 == threads,
            Report::Api(report) => report.channels == lanes,
        };
        assert!(
            console
                .nodes
                .values()
                .all(|node| lanes_that_run(&node.report))
        );
        load.accept(2000).await;
    }
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    system.prove("settings changed 4 times", &sent).await;
}

#[tokio::test]
async fn a_node_says_which_instance_it_runs_on() {
    let mut system = System::start().await;
    let mut console = Console::of(&system).await;
    let instance = "i-0123456789abcdef0";
    system.worker.drain().await;
    system.start_worker_again_with(&[("SKI_INSTANCE_ID", instance)]);
    console
        .hear("the worker says its instance", |nodes| {
            let mut nodes = nodes.values();
            nodes.any(|node| {
                node.role() == Role::Worker && node.instance_id.as_deref() == Some(instance)
            })
        })
        .await;
}

#[tokio::test]
async fn a_pause_keeps_rides_in_the_queue_and_a_drained_node_works_again() {
    let system = System::start().await;
    let mut console = Console::of(&system).await;
    let load = system.load();
    load.accept(1000).await;
    console
        .hear("both are heard", |nodes| nodes.len() == 2)
        .await;
    let pause = Pause {
        paused_at_ms: epoch_ms(),
        paused_by: "ann".to_owned(),
        resumes_at_ms: None,
    };
    console
        .publish(|document| document.pause = Some(pause))
        .await;
    let paused = |nodes: &_| has_activity(nodes, Role::Worker, &Activity::Paused);
    console.hear("the worker is paused", paused).await;
    load.accept(1000).await;
    assert!(system.messages_in(&system.stack.ride_queue()).await > 0);

    // The worker drains while it is paused, and stays drained when the pause ends.
    let worker = console.of_role(Role::Worker);
    let mark = DrainRequest {
        node: worker.node.clone(),
        boot_id: worker.boot_id,
        plan: "p1".to_owned(),
        expires_at_ms: None,
    };
    console.publish(|document| document.drains.push(mark)).await;
    // The pause is over by itself; the document still has it.
    console
        .publish(|document| {
            let pause = document.pause.as_mut().unwrap();
            pause.resumes_at_ms = Some(epoch_ms() + 1_000);
        })
        .await;
    let plan = "p1".to_owned();
    let drained = Activity::Drained { plan };
    let is_drained = |nodes: &_| has_activity(nodes, Role::Worker, &drained);
    console.hear("the worker is drained", is_drained).await;
    load.accept(500).await;
    console.publish(|document| document.drains.clear()).await;
    let works = |nodes: &_| has_activity(nodes, Role::Worker, &Activity::Active);
    console.hear("the worker works again", works).await;
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    system.prove("a pause and a drain", &sent).await;
}

#[tokio::test]
async fn a_mark_for_one_life_says_nothing_to_the_next_and_settings_outlive_both() {
    let mut system = System::start().await;
    let mut console = Console::of(&system).await;
    let threads = WorkerSettings {
        threads: 3,
        ..WORKER
    };
    console.settings(7, threads, API).await;
    console.hear("all run it", |nodes| all_run(nodes, 7)).await;
    let first = console.of_role(Role::Worker).clone();
    let mark = DrainRequest {
        node: first.node.clone(),
        boot_id: first.boot_id,
        plan: "p1".to_owned(),
        expires_at_ms: None,
    };
    console.publish(|document| document.drains.push(mark)).await;
    let plan = "p1".to_owned();
    let drained = Activity::Drained { plan };
    let is_drained = |nodes: &_| has_activity(nodes, Role::Worker, &drained);
    console.hear("the worker is drained", is_drained).await;
    system.worker.kill_9().await;
    console.nodes.clear();
    system.start_worker_again();
    let is_another = |nodes: &BTreeMap<NodeId, Heartbeat>| {
        nodes
            .values()
            .any(|node| node.role() == Role::Worker && node.boot_id != first.boot_id)
    };
    console.hear("another life is heard", is_another).await;
    let second = console.of_role(Role::Worker);
    assert_eq!(second.activity, Activity::Active);
    assert_eq!(
        second.generation.unwrap().version,
        7,
        "from the first beat on"
    );

    // An orderly end is seen as one.
    system.worker.drain().await;
    let ending = Activity::Stopped;
    let says_so = |nodes: &_| has_activity(nodes, Role::Worker, &ending);
    console.hear("the worker says that it ends", says_so).await;
}
