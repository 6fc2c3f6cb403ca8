//! What happens to the disk under a data folder.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::bad_start::fails_by;
use crate::disk::Disk;
use crate::up::Up;

/// Arguments of an `up` whose ports do not matter.
pub(crate) fn up_arguments(data: &Path) -> [&str; 7] {
    let (data, any) = (data.to_str().unwrap(), "127.0.0.1:0");
    let ports = ["--api-listen", any, "--metrics-listen", any];
    ["up", "--data", data, ports[0], ports[1], ports[2], ports[3]]
}

/// Writes to the disk until so many bytes are written or nothing more fits.
fn take_room(ballast: &Path, most: u64) {
    let mut file = File::create(ballast).unwrap();
    let block = vec![b'x'; 64 << 10];
    for _ in 0..most / block.len() as u64 {
        if file.write_all(&block).is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_read_only_disk_is_named() {
    let disk = Disk::mount("size=200m").await;
    let data = disk.inside().join("data");
    let says = [
        &*format!("the data directory {} cannot be written", data.display()),
        "read-only",
        "--data",
    ];
    disk.remount("ro").await;
    fails_by(&disk.launcher(), &up_arguments(&data), 1, &says).await;
    // And one that holds data.
    disk.remount("rw").await;
    let mut up = Up::start_on(&disk).await;
    let load = up.load();
    load.accept(500).await;
    let sent = load.stop().await;
    up.service.drain().await;
    disk.remount("ro").await;
    fails_by(&disk.launcher(), &up_arguments(&data), 1, &says).await;
    disk.remount("rw").await;
    up.start_again().await;
    up.prove("a disk that was read-only for a while", &sent)
        .await;
}

#[tokio::test]
async fn a_disk_that_rides_fill_sheds_and_takes_rides_again_when_there_is_room() {
    let disk = Disk::mount("size=300m").await;
    let mut up = Up::start_on(&disk).await;
    // Others need room too: it shortens the test.
    let ballast = disk.outside().join("ballast");
    take_room(&ballast, 220 << 20);
    let load = up.load();
    up.service.logged_after("refusing rides: the disk").await;
    std::fs::remove_file(ballast).unwrap();
    up.service.logged_after("no longer refusing rides").await;
    load.accept(1000).await;
    let sent = load.stop().await;
    let told = |message: &String| message.contains("the disk of the data directory");
    assert!(sent.messages.keys().any(told), "{:?}", sent.messages);
    assert_eq!(sent.unanswered, 0, "{}", up.service.log());
    up.prove("a disk full of rides, then given more", &sent)
        .await;
}

#[tokio::test]
async fn a_disk_that_somebody_else_fills_in_a_moment_ends_or_sheds_and_loses_nothing() {
    let disk = Disk::mount("size=300m").await;
    let mut up = Up::start_on(&disk).await;
    let ballast = disk.outside().join("ballast");
    let load = up.load();
    let mut ends = 0;
    for round in 0..4 {
        load.accept(1000 + 9000 * round).await;
        take_room(&ballast, u64::MAX);
        if let Some(status) = up.ends_or_says("refusing rides: the disk").await {
            let log = up.service.log();
            assert_eq!(status.code(), Some(1), "{log}");
            let says = format!(
                "the disk of the data directory {} is full",
                up.data.display()
            );
            assert!(log.contains(&says), "{log}");
            ends += 1;
            // Nothing has changed for the better: it says so, or runs without taking rides.
            up.start_again_without_waiting();
            let again = up.ends_or_says("refusing rides: the disk").await;
            assert!(again.is_none_or(|status| status.code() == Some(1)));
        }
        std::fs::remove_file(&ballast).unwrap();
        if up.service.ended().is_some() {
            up.start_again().await;
        }
    }
    load.accept(1000).await;
    let sent = load.stop().await;
    eprintln!("the disk was filled 4 times, and up ended {ends} times of them");
    up.prove("a disk that somebody else fills, 4 times", &sent)
        .await;
}

#[tokio::test]
async fn a_data_directory_that_is_removed_ends_the_process() {
    let mut up = Up::start().await;
    let load = up.load();
    load.accept(500).await;
    let moved = up.data.with_extension("moved");
    std::fs::rename(&up.data, &moved).unwrap();
    let status = up.service.wait().await;
    assert_eq!(status.code(), Some(1), "{}", up.service.log());
    let says = "was removed or replaced while this process used it";
    assert!(up.service.log().contains(says), "{}", up.service.log());
    // What was moved is whole: put back, it has every ride that was accepted.
    std::fs::rename(&moved, &up.data).unwrap();
    up.start_again().await;
    load.accept(500).await;
    let sent = load.stop().await;
    up.prove("a data folder that was moved away under up", &sent)
        .await;
}
