//! The alarm that must never ring: a message is taken away behind everybody's back.

use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;

use crate::doctor::ask_of;
use crate::load::Load;
use crate::operator::{Operator, of_role};
use crate::system::System;

/// Takes the oldest ride message out of the queue for good, and says how many rides were in it.
async fn remove_a_message(system: &System) -> usize {
    let url = system.rabbit.amqp_url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = system.stack.ride_queue();
    let taken = channel
        .basic_get(queue.as_str().into(), BasicGetOptions::default())
        .await
        .unwrap()
        .unwrap();
    taken.ack(BasicAckOptions::default()).await.unwrap();
    let rides = taken.delivery.data.split(|byte| *byte == b'\n');
    let count = rides.filter(|line| !line.is_empty()).count();
    connection.close(0, "".into()).await.unwrap();
    count
}

#[tokio::test]
async fn a_message_that_is_removed_behind_the_brokers_back_is_told_as_lost() {
    let system = System::start().await;
    let mut operator = Operator::beside(&system).await;
    operator
        .waits_for(&["nodes"], |nodes| {
            of_role(nodes, "worker").count() == 1 && of_role(nodes, "api").count() == 1
        })
        .await;
    operator.does(&["queue", "pause", "--yes"]).await;
    let paused = |nodes: &Value| of_role(nodes, "worker").all(|node| node["state"] == "paused");
    operator.waits_for(&["nodes"], paused).await;
    let load = Load::start_once(&system.url);
    load.accept(1000).await;
    let sent = load.stop().await;
    // The API node's count comes with its next heartbeat.
    let waiting = |queue: &Value| {
        queue["ready_messages"]["value"].as_u64() > Some(1)
            && queue["reconciliation"]["verdict"] == "in_flight"
    };
    operator.waits_for(&["queue"], waiting).await;

    let removed = remove_a_message(&system).await;
    assert!(removed > 0);
    operator.does(&["queue", "resume", "--yes"]).await;
    let is_lost = |queue: &Value| {
        queue["reconciliation"]["verdict"] == "loss"
            && queue["reconciliation"]["lost_messages"]["value"] == 1
    };
    let (queue, _) = operator.waits_for(&["queue"], is_lost).await;
    let check = |queue: &Value| {
        let books = &queue["reconciliation"];
        assert_eq!(books["lost_messages"]["value"], 1, "{books:#}");
        assert_eq!(
            books["lost_message_ids"].as_array().unwrap().len(),
            1,
            "{books:#}"
        );
        assert_eq!(books["outstanding"]["value"], removed, "{books:#}");
        assert_eq!(queue["alarms"][0]["code"], "loss", "{queue:#}");
        let alarm = queue["alarms"][0]["message"].as_str().unwrap();
        let says = format!("1 message with {removed} ride");
        assert!(alarm.contains(&says), "{alarm}");
    };
    check(&queue);
    let table = operator.does(&["queue"]).await;
    assert!(table.output.contains("lost"), "{table:?}");
    // It says so because it is so, and of nothing else.
    system.wait_until_stored().await;
    assert_eq!(system.compare(&sent).await.lost, removed);

    // It is acknowledged, also for the next console process.
    let reason = "resent from the gates";
    operator
        .does(&["status", "acknowledge", "loss", "--reason", reason, "--yes"])
        .await;
    operator.console.as_mut().unwrap().kill_9().await;
    operator.start_console_again().await;
    let (queue, _) = operator.waits_for(&["queue"], is_lost).await;
    check(&queue);
    let acknowledged = &queue["alarms"][0]["acknowledged"];
    assert_eq!(acknowledged["reason"], reason, "{queue:#}");
    let status = operator.skictl(&["status"]).await;
    assert_eq!(status.code, 0, "{status:?}");

    // The next loss rings.
    operator.does(&["queue", "pause", "--yes"]).await;
    operator.waits_for(&["nodes"], paused).await;
    let load = Load::start_once(&system.url);
    load.accept(1000).await;
    load.stop().await;
    operator
        .waits_for(&["queue"], |queue| {
            queue["ready_messages"]["value"].as_u64() > Some(1)
        })
        .await;
    remove_a_message(&system).await;
    operator.does(&["queue", "resume", "--yes"]).await;
    let is_lost = |queue: &Value| queue["reconciliation"]["lost_messages"]["value"] == 2;
    let (queue, _) = operator.waits_for(&["queue"], is_lost).await;
    assert_eq!(queue["alarms"][0]["code"], "loss", "{queue:#}");
    assert_eq!(queue["alarms"][0]["acknowledged"], Value::Null, "{queue:#}");
    let status = operator.skictl(&["status"]).await;
    assert_eq!(status.code, 9, "{status:?}");
}

#[tokio::test]
async fn a_redis_that_was_emptied_is_suspected_at_once_and_then_told_as_lost() {
    let system = System::start().await;
    let operator = Operator::beside(&system).await;
    let load = Load::start_once(&system.url);
    load.accept(1000).await;
    let sent = load.stop().await;
    operator.closes_the_books().await;
    let statistics = ["stats", "skier", "1"];
    let includes_all = |statistics: &Value| statistics["oldest_ride_age_ms"] == 0;
    operator.waits_for(&statistics, includes_all).await;

    let client = redis::Client::open(system.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let verdict_is = |queue: &Value, wanted: &str| {
        let books = &queue["reconciliation"];
        let has_forgotten = books["settled"]["value"].as_u64() < Some(1000);
        let is_calm = books["verdict"] == "balanced" || books["verdict"] == "in_flight";
        assert!(!(has_forgotten && is_calm), "{books:#}");
        books["verdict"] == wanted
    };
    let is_suspected = |queue: &Value| verdict_is(queue, "suspected_loss");
    let (queue, _) = operator.waits_for(&["queue"], is_suspected).await;
    let (amqp, redis) = (system.rabbit.amqp_url(), system.redis.url());
    let stack = system.stack.to_string();
    let doctor = ask_of(&amqp, &redis, &stack, &[]).await;
    doctor.fails("redis content", "Redis was emptied", "");
    let says = queue["reconciliation"]["message"].as_str().unwrap();
    assert!(says.contains("emptied"), "{says}");
    let missing = operator.sees(&statistics).await;
    assert_eq!(missing["oldest_ride_age_ms"], Value::Null, "{missing:#}");
    let is_lost = |queue: &Value| verdict_is(queue, "loss");
    operator.waits_for(&["queue"], is_lost).await;
    assert_eq!(system.compare(&sent).await.lost, sent.sent.len());
}
