//! What happens to our own processes.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::system::System;

#[tokio::test]
async fn a_worker_killed_under_load_loses_and_doubles_nothing() {
    let mut system = System::start().await;
    let load = system.load();
    for _ in 0..3 {
        load.accept(2000).await;
        system.worker.kill_9().await;
        load.accept(500).await;
        system.start_worker_again();
    }
    load.accept(2000).await;
    let sent = load.stop().await;
    assert_eq!(
        sent.refused + sent.unanswered,
        0,
        "a dead worker is no reason to refuse rides: {:?}",
        sent.messages
    );
    system.prove("kill -9 of the worker, 3 times", &sent).await;
}

#[tokio::test]
async fn an_api_killed_under_load_loses_and_doubles_nothing() {
    let mut system = System::start().await;
    let load = system.load();
    for _ in 0..3 {
        load.accept(2000).await;
        system.api.kill_9().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.start_api_again();
    }
    load.accept(2000).await;
    let sent = load.stop().await;
    assert!(sent.unanswered > 0, "the crash was not under load");
    system.prove("kill -9 of the API, 3 times", &sent).await;
}

#[tokio::test]
async fn the_first_signal_under_load_drains_both() {
    let mut system = System::start().await;
    let load = system.load();
    load.accept(2000).await;
    system.worker.drain().await;
    load.accept(500).await;
    system.start_worker_again();
    load.accept(500).await;
    system.api.drain().await;
    // Whatever is answered now was answered by nobody.
    tokio::time::sleep(Duration::from_millis(200)).await;
    system.start_api_again();
    load.accept(500).await;
    let sent = load.stop().await;
    assert!(system.worker.log().contains("drained") && system.api.log().contains("drained"));
    system.prove("SIGTERM of worker and API", &sent).await;
    system.api.drain().await;
    system.worker.drain().await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_long_queue_to_empty() {
    let mut system = System::start().await;
    system.worker.drain().await;
    let load = system.load();
    load.accept(90_000).await;
    let sent = load.stop().await;
    // A message a batch, and one thread: the queue would last for some seconds. What it holds, it finishes, also on a busy machine.
    system.start_worker_again_with(&[
        ("SKI_THREADS", "1"),
        ("SKI_PREFETCH", "500"),
        ("SKI_BATCH", "1"),
        ("SKI_LINGER", "0s"),
    ]);
    system.worker.logged_after("health and metrics on ").await;
    system.worker.drain().await;
    assert!(
        system.messages_in(&system.stack.ride_queue()).await > 0,
        "the queue was too short to prove anything"
    );
    system.start_worker_again();
    system
        .prove("SIGTERM of a worker with a long queue", &sent)
        .await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut system = System::start().await;
    let load = system.load();
    load.accept(1000).await;
    // A store that does not answer keeps the worker from finishing its batch.
    system.redis.pause().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Two signals within half a second are one.
    system.worker.signal(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(100)).await;
    system.worker.signal(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(!system.worker.log().contains("SIGTERM again"));
    system.worker.signal(Signal::SIGTERM);
    let status = system.worker.wait().await;
    assert_eq!(status.code(), Some(1), "{}", system.worker.log());
    assert!(system.worker.log().contains("SIGTERM again: ending now"));
    system.redis.resume().unwrap();
    system.start_worker_again();
    load.accept(500).await;
    let sent = load.stop().await;
    system
        .prove("two SIGTERMs of a worker that cannot finish", &sent)
        .await;
}

#[tokio::test]
async fn a_worker_paused_longer_than_the_heartbeat_comes_back_to_work() {
    let mut system = System::start().await;
    let load = system.load();
    load.accept(1000).await;
    system.worker.signal(Signal::SIGSTOP);
    load.accept(500).await;
    let sent = load.stop().await;
    // RabbitMQ gives up a connection without heartbeats after 20 s.
    tokio::time::sleep(Duration::from_secs(35)).await;
    system.worker.signal(Signal::SIGCONT);
    // Its heartbeats stopped with it: RabbitMQ took the connection for dead and its messages back.
    system.worker.logged_after("stopped consuming").await;
    system.prove("worker paused for 35 s", &sent).await;
}
