//! Operating a fleet while rides flow: what is changed, what dies, and what the console says of it.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::operator::{Operator, all_follow, of_role};
use crate::system::System;
use crate::up::Up;

async fn system_with_two_workers() -> (System, crate::service::Service, Operator) {
    let system = System::start().await;
    let second = system.start_another_worker();
    let operator = Operator::beside(&system).await;
    let all = |nodes: &Value| of_role(nodes, "worker").count() == 2;
    operator.waits_for(&["nodes"], all).await;
    (system, second, operator)
}

#[tokio::test]
async fn threads_change_while_rides_flow() {
    let (system, _second, operator) = system_with_two_workers().await;
    let load = system.load();
    load.accept(1000).await;
    for threads in ["16", "1", "4"] {
        let set = ["settings", "set", "worker", "--threads", threads, "--yes"];
        operator.does(&set).await;
        let follows = |nodes: &Value| {
            let threads: u64 = threads.parse().unwrap();
            all_follow(nodes) && of_role(nodes, "worker").all(|node| node["threads"] == threads)
        };
        operator.waits_for(&["nodes"], follows).await;
        load.accept(1000).await;
    }
    for (option, value) in [
        ("--channels", "3"),
        ("--message-rides", "64"),
        ("--channels", "1"),
    ] {
        operator
            .does(&["settings", "set", "api", option, value, "--yes"])
            .await;
        operator.waits_for(&["nodes"], all_follow).await;
        load.accept(500).await;
    }
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    system
        .prove("threads and lanes changed under load", &sent)
        .await;
    operator.closes_the_books().await;
    let history = operator.sees(&["settings", "history", "worker"]).await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_killed_worker_is_shown_as_lost_and_its_work_is_taken_over() {
    let (mut system, mut second, operator) = system_with_two_workers().await;
    let load = system.load();
    load.accept(1000).await;
    second.kill_9().await;
    let lost = |nodes: &Value| of_role(nodes, "worker").any(|node| node["state"] == "lost");
    operator.waits_for(&["nodes"], lost).await;
    load.accept(1000).await;
    system.worker.kill_9().await;
    load.accept(500).await;
    system.start_worker_again();
    load.accept(500).await;
    let sent = load.stop().await;
    system
        .prove("both workers killed, one started again", &sent)
        .await;
    operator.closes_the_books().await;
}

#[tokio::test]
async fn a_script_pauses_sees_the_backlog_grow_and_resumes() {
    let system = System::start().await;
    let operator = Operator::beside(&system).await;
    operator
        .waits_for(&["nodes"], |nodes| of_role(nodes, "worker").count() == 1)
        .await;
    // Without a terminal nobody is asked: a script says yes.
    assert_eq!(operator.skictl(&["queue", "pause"]).await.code, 4);
    operator.does(&["queue", "pause", "--dry-run"]).await;
    assert_eq!(operator.sees(&["queue"]).await["paused"], Value::Null);
    operator.does(&["queue", "pause", "--yes"]).await;
    let paused = |nodes: &Value| of_role(nodes, "worker").all(|node| node["state"] == "paused");
    operator.waits_for(&["nodes"], paused).await;

    let load = system.load();
    load.accept(2000).await;
    let waits = |queue: &Value| queue["backlog_rides"]["value"].as_u64() >= Some(2000);
    let (queue, _) = operator.waits_for(&["queue"], waits).await;
    assert_eq!(queue["time_to_drain"]["state"], "paused", "{queue:#}");
    assert_eq!(queue["paused"]["nodes_pending"], serde_json::json!([]));
    let sent = load.stop().await;

    operator.does(&["queue", "resume", "--yes"]).await;
    operator.does(&["queue", "resume", "--yes"]).await;
    let empty = |queue: &Value| queue["time_to_drain"]["state"] == "empty";
    operator.waits_for(&["queue"], empty).await;
    system.prove("paused and resumed", &sent).await;
    operator.closes_the_books().await;
    let audit = operator.sees(&["audit"]).await;
    let said = audit.to_string();
    assert!(said.contains("pause") && said.contains("resume"), "{said}");
}

#[tokio::test]
async fn a_drained_worker_holds_nothing_stays_and_works_again() {
    let (system, _second, operator) = system_with_two_workers().await;
    let load = system.load();
    load.accept(500).await;
    let nodes = operator.sees(&["nodes"]).await;
    let one = of_role(&nodes, "worker").next().unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    operator.does(&["nodes", "drain", &one, "--yes"]).await;
    let is = |state: &'static str| {
        let one = one.clone();
        move |nodes: &Value| {
            of_role(nodes, "worker").any(|node| node["id"] == *one && node["state"] == state)
        }
    };
    let (nodes, _) = operator.waits_for(&["nodes"], is("drained")).await;
    let node = of_role(&nodes, "worker")
        .find(|node| node["id"] == *one)
        .unwrap();
    assert_eq!(node["unacked_messages"], 0, "{node:#}");
    load.accept(500).await;
    // The last one that works is not drained by a yes alone.
    let other = of_role(&nodes, "worker")
        .find(|node| node["id"] != *one)
        .unwrap();
    let other = other["id"].as_str().unwrap();
    let refused = operator.skictl(&["nodes", "drain", other, "--yes"]).await;
    assert_eq!(refused.code, 4, "{refused:?}");
    // With its name it is, and a warning says that nothing is stored.
    operator
        .does(&["nodes", "drain", other, "--confirm", other])
        .await;
    let is_told = |queue: &Value| {
        let mut alarms = queue["alarms"].as_array().unwrap().iter();
        alarms.any(|alarm| alarm["code"] == "no_worker" && alarm["severity"] == "warning")
    };
    operator.waits_for(&["queue"], is_told).await;
    let status = operator.skictl(&["status"]).await;
    assert_eq!(status.code, 8, "{status:?}");
    operator.does(&["nodes", "undrain", other, "--yes"]).await;
    operator.does(&["nodes", "undrain", &one, "--yes"]).await;
    operator.waits_for(&["nodes"], is("ready")).await;
    let sent = load.stop().await;
    system.prove("a worker drained and undrained", &sent).await;
    operator.closes_the_books().await;
}

#[tokio::test]
async fn rides_flow_and_settings_stay_while_the_console_is_down() {
    let system = System::start().await;
    let mut operator = Operator::beside(&system).await;
    operator
        .waits_for(&["nodes"], |nodes| {
            nodes["nodes"].as_array().unwrap().len() == 2
        })
        .await;
    operator
        .does(&["settings", "set", "worker", "--threads", "5", "--yes"])
        .await;
    operator.waits_for(&["nodes"], all_follow).await;
    let load = system.load();
    load.accept(500).await;
    operator.console.as_mut().unwrap().kill_9().await;
    let said = operator.skictl(&["queue"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.messages.contains(&operator.url), "{said:?}");
    load.accept(2000).await;
    operator.start_console_again().await;
    load.accept(500).await;
    let sent = load.stop().await;
    system.prove("the console killed under load", &sent).await;
    operator.closes_the_books().await;
    let nodes = operator.sees(&["nodes"]).await;
    assert!(
        of_role(&nodes, "worker").all(|node| node["threads"] == 5),
        "{nodes:#}"
    );
    let settings = operator.sees(&["settings"]).await;
    assert!(
        settings.to_string().contains("\"threads\":5"),
        "{settings:#}"
    );
}

#[tokio::test]
async fn what_a_stopped_worker_may_hold_is_counted_until_it_goes_on() {
    let (system, second, operator) = system_with_two_workers().await;
    let load = system.load();
    load.accept(500).await;
    second.signal(Signal::SIGSTOP);
    let stopped = std::time::Instant::now();
    // From the third second on, also before it is lost; it holds what RabbitMQ has delivered to it.
    let is_counted = |queue: &Value| {
        let oldest = &queue["oldest_ride_age_ms"];
        let holds = queue["reconciliation"]["outstanding"]["value"].as_u64() > Some(0);
        holds && oldest["is_upper_bound"] == true && oldest["value"].as_u64() > Some(1_500)
    };
    let (queue, _) = operator.waits_for(&["queue"], is_counted).await;
    let age_ms = queue["oldest_ride_age_ms"]["value"].as_u64().unwrap();
    assert!(u128::from(age_ms) < stopped.elapsed().as_millis() + 2_500);
    load.accept(500).await;
    second.signal(Signal::SIGCONT);
    let sent = load.stop().await;
    system.prove("a worker stopped and went on", &sent).await;
    operator.closes_the_books().await;
    let is_known = |queue: &Value| queue["oldest_ride_age_ms"]["value"] == 0;
    operator.waits_for(&["queue"], is_known).await;
}

#[tokio::test]
async fn while_redis_or_rabbitmq_is_away_nothing_is_shown_as_before() {
    let mut system = System::start().await;
    let operator = Operator::beside(&system).await;
    let load = system.load();
    load.accept(500).await;
    let is_latency_known = |queue: &Value| queue["accept_to_stored_ms"]["p99"]["value"].is_number();
    operator.waits_for(&["queue"], is_latency_known).await;

    system.redis.kill().await.unwrap();
    let shows = async |what: &[&str]| {
        let began = std::time::Instant::now();
        loop {
            let table = operator.does(&["queue"]).await.output;
            if what.iter().all(|text| table.contains(text)) {
                return;
            }
            assert!(began.elapsed().as_secs() < 60, "no {what:?}: {table}");
        }
    };
    shows(&[
        "not storing: the store is unreachable",
        "active, last known",
        "trend unknown",
    ])
    .await;
    let is_latency_unknown = |queue: &Value| {
        let latency = &queue["accept_to_stored_ms"];
        ["p50", "p95", "p99"]
            .iter()
            .all(|of| latency[of]["value"].is_null() && latency[of]["error"].is_string())
    };
    let (queue, _) = operator.waits_for(&["queue"], is_latency_unknown).await;
    assert_eq!(queue["time_to_drain"]["state"], "unknown", "{queue:#}");

    system.redis.start_again().await.unwrap();
    shows(&["consuming"]).await;
    system.rabbit.stop().await.unwrap();
    shows(&["unknown: the queue is unreachable", "unknown ready"]).await;
    system.rabbit.start_again().await.unwrap();
    load.accept(500).await;
    let sent = load.stop().await;
    system.prove("Redis and then RabbitMQ away", &sent).await;
    operator.closes_the_books().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_never_0() {
    let mut system = System::start().await;
    let operator = Operator::beside(&system).await;
    let load = system.load();
    load.accept(500).await;
    let sent = load.stop().await;
    system.prove("before RabbitMQ and Redis go", &sent).await;
    operator.closes_the_books().await;

    system.rabbit.stop().await.unwrap();
    let unknown = |queue: &Value| {
        queue["ready_messages"]["value"].is_null()
            && queue["ready_messages"]["error"]
                .as_str()
                .is_some_and(|why| !why.is_empty())
    };
    let (queue, _) = operator.waits_for(&["queue"], unknown).await;
    // What Redis knows is still told.
    assert!(
        queue["reconciliation"]["applied"]["value"].as_u64() > Some(0),
        "{queue:#}"
    );

    system.redis.kill().await.unwrap();
    let unknown = |queue: &Value| {
        let books = &queue["reconciliation"];
        books["verdict"] == "unknown" && books["applied"]["error"].is_string()
    };
    operator.waits_for(&["queue"], unknown).await;
    let table = operator.does(&["queue"]).await;
    assert!(table.output.contains("unknown"), "{table:?}");
    assert!(!table.output.contains("none lost"), "{table:?}");

    // Both return: nothing is suspected on the way to a balance.
    system.redis.start_again().await.unwrap();
    system.rabbit.start_again().await.unwrap();
    let is_balanced = |queue: &Value| {
        let verdict = &queue["reconciliation"]["verdict"];
        assert!(
            verdict != "suspected_loss" && verdict != "loss",
            "{queue:#}"
        );
        verdict == "balanced"
    };
    operator.waits_for(&["queue"], is_balanced).await;
}

#[tokio::test]
async fn up_has_all_of_it_in_one_process() {
    let mut up = Up::start().await;
    let url = up.service.logged_after("admin API on ").await;
    let operator = Operator::of_up(url, &up.data);
    let both = |nodes: &Value| nodes["nodes"].as_array().unwrap().len() == 2;
    operator.waits_for(&["nodes"], both).await;
    let load = up.load();
    load.accept(1000).await;
    operator
        .does(&[
            "settings",
            "set",
            "worker",
            "--threads",
            "16",
            "--batch",
            "500",
            "--yes",
        ])
        .await;
    let (nodes, _) = operator.waits_for(&["nodes"], all_follow).await;
    // Said as it is: a data folder has one lane.
    let worker = of_role(&nodes, "worker").next().unwrap();
    assert_eq!(
        (&worker["threads"], &worker["settings"]["threads"]),
        (&1.into(), &16.into())
    );
    load.accept(1000).await;
    operator.does(&["queue", "pause", "--yes"]).await;
    load.accept(1000).await;
    let waits = |queue: &Value| queue["backlog_rides"]["value"].as_u64() > Some(0);
    operator.waits_for(&["queue"], waits).await;
    operator.does(&["queue", "resume", "--yes"]).await;
    load.accept(500).await;
    let sent = load.stop().await;
    operator.closes_the_books().await;
    let ride = sent.accepted.iter().next().unwrap();
    let (resort, season, day) = (
        ride.resort.to_string(),
        ride.season.to_string(),
        ride.day.to_string(),
    );
    let day = ["--season", &season, "--day", &day];
    let seen = operator
        .sees(&[&["stats", "resort", &resort][..], &day].concat())
        .await;
    let repair = [&["repair", "--resort", &resort, "--yes"][..], &day].concat();
    let repaired = operator.does(&repair).await;
    assert!(
        repaired.output.contains("counters were correct"),
        "{repaired:?}"
    );
    let again = operator
        .sees(&[&["stats", "resort", &resort][..], &day].concat())
        .await;
    assert_eq!(seen["rides"], again["rides"]);
    assert!(seen["rides"].as_u64() > Some(0), "{seen:#}");
    up.prove(
        "settings changed, paused and resumed on a data folder",
        &sent,
    )
    .await;
}

#[tokio::test]
async fn what_stands_in_redis_and_is_not_ours_gives_way() {
    let system = System::start().await;
    let operator = Operator::beside(&system).await;
    let is_there = |nodes: &Value| of_role(nodes, "worker").count() == 1;
    operator.waits_for(&["nodes"], is_there).await;
    let client = redis::Client::open(system.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET")
        .arg(format!("{{{}}}:control", system.stack))
        .arg("not ours")
        .exec_async(&mut connection)
        .await
        .unwrap();
    operator.does(&["queue", "pause", "--yes"]).await;
    let paused = |nodes: &Value| of_role(nodes, "worker").all(|node| node["state"] == "paused");
    operator.waits_for(&["nodes"], paused).await;
}
