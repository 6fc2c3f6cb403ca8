//! Data folders that cannot be opened, and what is said of them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::bad_start::fails_by;
use crate::embedded_disk::up_arguments;
use crate::up::Up;

const TABLES: [&str; 5] = ["rides", "skiers", "days", "queue", "dead"];

/// A data folder with some thousand rides in it.
async fn folder_with_rides() -> Up {
    let mut up = Up::start().await;
    let load = up.load();
    load.accept(3000).await;
    load.stop().await;
    up.service.drain().await;
    up
}

/// The same, with all of it in table files; and the ledger's.
async fn folder_with_tables() -> (Up, PathBuf) {
    let up = folder_with_rides().await;
    let database = fjall::Database::builder(up.data.join("rides"))
        .open()
        .unwrap();
    for name in TABLES {
        let table = database.keyspace(name, Default::default).unwrap();
        table.rotate_memtable_and_wait().unwrap();
    }
    let ledger = database.keyspace(TABLES[0], Default::default).unwrap();
    let ledger = largest_file(ledger.path(), "/tables/");
    (up, ledger)
}

/// The largest file below a folder that has this in its path.
fn largest_file(folder: &Path, part: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut largest = None;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().contains(part) {
                largest = largest.max(Some((path.metadata().unwrap().len(), path)));
            }
        }
    }
    largest.unwrap_or_else(|| panic!("no {part}")).1
}

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(file).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_refused() {
    let up = folder_with_rides().await;
    {
        let database = fjall::Database::builder(up.data.join("rides"))
            .open()
            .unwrap();
        let days = database.keyspace("days", Default::default).unwrap();
        let next = skilift_core::embedded::FORMAT + 1;
        days.insert("f", next.to_be_bytes()).unwrap();
    }
    let says = [
        &*format!(
            "the data directory {} was written by a newer version",
            up.data.display()
        ),
        "--data",
    ];
    fails_by(&[], &up_arguments(&up.data), 1, &says).await;
}

#[tokio::test]
async fn a_damaged_journal_is_named() {
    let up = folder_with_rides().await;
    let journal = largest_file(&up.data, ".jnl");
    let text = fs::read(&journal).unwrap();
    let needle = br#""skierID":"#;
    let places: Vec<usize> = text
        .windows(needle.len())
        .enumerate()
        .filter_map(|(at, window)| (window == needle).then_some(at))
        .collect();
    let middle = places[places.len() / 2];
    overwrite(&journal, middle as u64, b"#");
    let says = [
        &*format!("the data directory {} is damaged", up.data.display()),
        "restore it from a backup",
    ];
    fails_by(&[], &up_arguments(&up.data), 1, &says).await;
}

#[tokio::test]
async fn a_table_of_garbage_is_named_at_the_start() {
    let (up, table) = folder_with_tables().await;
    let length = table.metadata().unwrap().len();
    overwrite(&table, 0, &vec![0xa5; length.try_into().unwrap()]);
    let says = [
        &*format!("the data directory {} is damaged", up.data.display()),
        "restore it from a backup",
    ];
    fails_by(&[], &up_arguments(&up.data), 1, &says).await;
}

#[tokio::test]
async fn a_table_with_garbage_in_it_is_named_when_it_is_read() {
    let (mut up, ledger) = folder_with_tables().await;
    let length = ledger.metadata().unwrap().len();
    let garbage = vec![0xa5; usize::try_from(length).unwrap() / 3];
    overwrite(&ledger, length / 3, &garbage);
    up.start_again().await;
    let says = format!("the data directory {} is damaged", up.data.display());
    // The resort in the middle is in the middle.
    let mut refused = 0;
    for skier in (2..3000).step_by(6) {
        let path = format!("/skiers/2/seasons/2025/days/1/skiers/{skier}/rides");
        let answer = skilift_servers::http()
            .get(format!("{}{path}", up.url))
            .send()
            .await
            .unwrap();
        if answer.status() == 503 {
            refused += 1;
            let message = answer.text().await.unwrap();
            assert!(message.contains("the data directory"), "{message}");
        } else {
            assert!(answer.status() == 200 || answer.status() == 404);
        }
    }
    assert!(refused > 0 && up.service.has_logged(&says), "{refused}");
    // Rides that would have to be written beside what cannot be read end the process.
    let load = up.load();
    let ended = up.service.wait().await;
    load.stop().await;
    assert_eq!(ended.code(), Some(1), "{}", up.service.log());
    let failed = up.service.log();
    let failed = failed.rsplit("the task `").next().unwrap();
    assert!(failed.contains(&says), "{failed}");
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let (up, table) = folder_with_tables().await;
    fs::remove_file(table).unwrap();
    let says = [
        &*format!("the data directory {} is damaged", up.data.display()),
        "restore it from a backup",
    ];
    fails_by(&[], &up_arguments(&up.data), 1, &says).await;
}

#[tokio::test]
async fn a_place_where_no_folder_can_be_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    for data in [file.clone(), file.join("below")] {
        let says = [
            &*format!(
                "the data directory {} cannot be written (not a directory)",
                data.display()
            ),
            "choose another with --data",
        ];
        fails_by(&[], &up_arguments(&data), 1, &says).await;
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "not a folder");

    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let mut permissions = closed.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&closed, permissions).unwrap();
    let data = closed.join("data");
    let says = [
        &*format!(
            "the data directory {} cannot be written (permission denied)",
            data.display()
        ),
        "make it writable for this user",
    ];
    fails_by(
        &with_permissions_that_count(),
        &up_arguments(&data),
        1,
        &says,
    )
    .await;
}

/// Root may write everywhere, unless that is taken from him.
fn with_permissions_that_count() -> Vec<String> {
    let without = "setpriv --bounding-set=-dac_override,-dac_read_search --";
    let words = without.split(' ').map(String::from);
    words.filter(|_| Uid::effective().is_root()).collect()
}

#[tokio::test]
async fn addresses_that_cannot_be_served_leave_the_folder_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (any, data_name) = ("127.0.0.1:0", data.to_str().unwrap());
    for (api, private, code, says) in [
        (&*taken, any, 1, ["cannot listen on", "--api-listen"]),
        (any, &*taken, 1, ["cannot listen on", "--metrics-listen"]),
        (
            "0.0.0.0:0",
            any,
            2,
            ["reachable from other hosts", "--catalogue"],
        ),
    ] {
        let ports = ["--api-listen", api, "--metrics-listen", private];
        let arguments = [&["up", "--data", data_name][..], &ports].concat();
        fails_by(&[], &arguments, code, &says).await;
    }
    assert!(!data.exists());
}
