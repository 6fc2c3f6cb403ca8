//! Copies of what is stored, and what they restore.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use skilift_core::ride::{ResortDay, Ride};

use crate::load::post;
use crate::operator::Operator;
use crate::proof::all_days;
use crate::system::System;
use crate::up::Up;

/// Copies a directory, as the documentation says.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// Sends rides again, as the gates do.
async fn send_again(url: &str, rides: impl IntoIterator<Item = &Ride>) {
    let http = skilift_servers::http();
    for ride in rides {
        let answer = post(&http, url, ride).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
}

/// Repairs a day, as the documentation says.
async fn repair(operator: &Operator, on: ResortDay) {
    let (resort, season, day) = (on.resort, on.season, on.day);
    let [resort, season, day] = [resort.to_string(), season.to_string(), day.to_string()];
    let of_day = ["--resort", &resort, "--season", &season, "--day", &day];
    let repair = [&["repair", "--yes"], &of_day[..]].concat();
    operator.does(&repair).await;
}

#[tokio::test]
async fn redis_restored_from_a_copy_made_under_load_lacks_only_what_came_later() {
    let mut system = System::start().await;
    let operator = Operator::beside(&system).await;
    let load = system.load();
    load.accept(2_000).await;
    let files = system.redis.folder().join("appendonlydir");
    let backup = tempfile::tempdir().unwrap();
    copy(&files, &backup.path().join("appendonlydir"));
    load.accept(2_000).await;
    let sent = load.stop().await;
    system.wait_until_stored().await;
    operator.closes_the_books().await;

    // Its disk is lost.
    system.redis.kill().await.unwrap();
    std::fs::remove_dir_all(&files).unwrap();
    copy(&backup.path().join("appendonlydir"), &files);
    system.redis.start_again().await.unwrap();
    let is_lost = |queue: &Value| queue["reconciliation"]["verdict"] == "loss";
    operator.waits_for(&["queue"], is_lost).await;
    // The copy may end between a ride and its index, which is written after it.
    for day in all_days() {
        repair(&operator, day).await;
    }
    let figures = system.compare(&sent).await;
    let found = sent.accepted.len() - figures.lost;
    assert!(figures.lost > 0 && found > 1_000, "{figures:?}");
    assert_eq!((figures.foreign, figures.doubled), (0, 0), "{figures:?}");

    send_again(&system.url, &sent.accepted).await;
    system.wait_until_stored().await;
    let figures = system.compare(&sent).await;
    assert_eq!(
        (figures.lost, figures.foreign, figures.doubled, figures.dead),
        (0, 0, 0, 0),
        "{figures:?}"
    );
}

#[tokio::test]
async fn a_data_directory_restored_from_a_copy_has_all_of_it() {
    let mut up = Up::start().await;
    let load = up.load();
    load.accept(2_000).await;
    let sent = load.stop().await;
    up.service.drain().await;
    let backup = tempfile::tempdir().unwrap();
    copy(&up.data, &backup.path().join("data"));
    std::fs::remove_dir_all(&up.data).unwrap();
    copy(&backup.path().join("data"), &up.data);
    up.start_again().await;
    up.prove("a data directory restored from a copy", &sent)
        .await;
}
