//! The alarm that must never ring: a message is taken away behind everybody's back.

use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;

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
    let waiting = |queue: &Value| queue["ready_messages"]["value"].as_u64() > Some(1);
    let (queue, _) = operator.waits_for(&["queue"], waiting).await;
    assert_eq!(queue["reconciliation"]["verdict"], "in_flight", "{queue:#}");

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

    // Another console life finds it out anew.
    operator.console.as_mut().unwrap().kill_9().await;
    operator.start_console_again().await;
    let (queue, _) = operator.waits_for(&["queue"], is_lost).await;
    check(&queue);
}
