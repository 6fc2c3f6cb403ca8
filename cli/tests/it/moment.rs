//! All figures of a page are of one moment.

use std::time::Duration;

use serde_json::Value;

use crate::operator::{Operator, of_role};
use crate::system::System;

/// Milliseconds after a full second within which everything of that second is read.
const WITHIN_MS: u64 = 250;

/// When a figure was read, in milliseconds after the full second before.
fn read_after_ms(queue: &Value, figure: &Value) -> u64 {
    let [at_ms, age_ms] = [&queue["at_ms"], &figure["age_ms"]].map(|ms| ms.as_u64().unwrap());
    (at_ms - age_ms) % 1_000
}

#[tokio::test]
async fn queue_store_and_nodes_are_read_at_full_seconds() {
    let system = System::start().await;
    let operator = Operator::beside(&system).await;
    let is_ready = |nodes: &Value| of_role(nodes, "worker").count() == 1;
    operator.waits_for(&["nodes"], is_ready).await;
    let load = system.load();
    load.accept(500).await;
    // What a busy machine delays is late now and then, and of an earlier second then.
    let (mut found, mut in_time) = (Vec::new(), 0);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(1_070)).await;
        let queue = operator.sees(&["queue"]).await;
        let figures = [
            &queue["ready_messages"],
            &queue["unacked_messages"],
            &queue["reconciliation"]["outstanding"],
        ];
        let after_ms = figures.map(|figure| read_after_ms(&queue, figure));
        in_time += usize::from(after_ms.iter().all(|ms| *ms < WITHIN_MS));
        found.push(after_ms);
    }
    assert!(in_time >= 5, "{found:?}");
    let sent = load.stop().await;
    system.prove("figures of one moment", &sent).await;
}
