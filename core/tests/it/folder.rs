//! What only a data folder must promise: what is synced stays, whatever the disk has of the rest.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use skilift_core::embedded::{Database, DiskError};
use skilift_core::engine::{Embedded, Engine, Pipeline};
use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::message::MessageBody;
use skilift_core::queue::embedded::{self, EmbeddedQueue};
use skilift_core::queue::{Admission, DeadLetter, DeadLetterError, Publisher};
use skilift_core::ride::Ride;
use skilift_core::store::Reader;
use skilift_core::store::batch::Batch;
use skilift_core::store::embedded::EmbeddedReader;
use tempfile::TempDir;

use crate::engines::{CONFIG, Folder, Setup, eventually, rides_of, take};
use crate::shared::ride;

fn open(folder: &Path) -> (Arc<Database>, Arc<EmbeddedQueue>) {
    let database = Arc::new(Database::open(folder).unwrap());
    let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
    (database, queue)
}

/// Publishes rides one by one, each of which is synced when this returns.
async fn publish(queue: &Arc<EmbeddedQueue>, rides: &[Ride]) {
    let (publisher, lifecycle) = open_publisher(queue).await;
    for ride in rides {
        publisher.publish(ride).await.unwrap();
    }
    end(publisher, lifecycle).await;
}

async fn publish_message(queue: &Arc<EmbeddedQueue>, body: MessageBody) {
    let (publisher, lifecycle) = open_publisher(queue).await;
    publisher.publish_message(body).await.unwrap();
    end(publisher, lifecycle).await;
}

/// Ends the publisher and all that it started: then nothing of it holds the folder any more.
async fn end(publisher: Publisher, lifecycle: Lifecycle) {
    publisher.close();
    lifecycle.drain();
    drop(publisher);
    let signals = Signals::install().unwrap();
    lifecycle
        .run_until_drained(signals, Duration::from_secs(60))
        .await;
}

async fn open_publisher(queue: &Arc<EmbeddedQueue>) -> (Publisher, Lifecycle) {
    let lifecycle = Lifecycle::new();
    let admission = Arc::<Admission>::default();
    let publisher = embedded::publish(&CONFIG, queue, admission, &lifecycle);
    eventually("the channel opens", || publisher.check_open().is_ok()).await;
    (publisher, lifecycle)
}

/// All rides that wait in the queue.
async fn waiting(database: Arc<Database>, queue: Arc<EmbeddedQueue>) -> Vec<Ride> {
    let expected = queue.waiting_rides();
    let mut pipeline = Embedded::new(database, queue).open(10_000).await.unwrap();
    let mut rides = Vec::new();
    while (rides.len() as u64) < expected {
        rides.extend(rides_of(&take(&mut pipeline).await));
    }
    rides
}

fn rides(count: u64) -> Vec<Ride> {
    (1..=count).map(|skier| ride(1, 1, skier, 1, 1)).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else if target
            .extension()
            .is_none_or(|extension| extension != "jnl")
        {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The one journal, and its bytes up to the last that is not 0.
fn journal(folder: &Path) -> (PathBuf, Vec<u8>) {
    let folder = folder.join("rides");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut journals = entries.filter(|path| path.extension().is_some_and(|end| end == "jnl"));
    let path = journals.next().unwrap();
    assert!(journals.next().is_none());
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    bytes.truncate(end);
    (path, bytes)
}

#[tokio::test]
async fn a_journal_that_ends_anywhere_after_the_last_sync_opens_with_all_that_was_synced() {
    let folder = TempDir::new().unwrap();
    let (database, queue) = open(folder.path());
    publish(&queue, &rides(3)).await;
    let synced = journal(folder.path()).1.len();
    // What the worker writes is not synced: it can be done again.
    let engine = Embedded::new(Arc::clone(&database), Arc::clone(&queue));
    let mut pipeline = engine.open(2).await.unwrap();
    let last = [take(&mut pipeline).await, take(&mut pipeline).await][1].tag;
    pipeline.apply(&Batch::new(rides(2))).await.unwrap();
    pipeline.ack_up_to(last).await.unwrap();
    let (path, bytes) = journal(folder.path());
    assert!(bytes.len() > synced + 100, "{} {synced}", bytes.len());
    let full_length = std::fs::metadata(&path).unwrap().len();

    for end in synced..=bytes.len() {
        // A file may end there; and sometimes it is tried as it was made, going on with zeros.
        let lengths = [Some(end as u64), (end % 8 == 0).then_some(full_length)];
        for length in lengths.into_iter().flatten() {
            let copy = copy_with_journal(folder.path(), &bytes[..end], length);
            let (database, queue) = open(copy.path());
            let reader = EmbeddedReader::new(Arc::clone(&database));
            let day = rides(1)[0].resort_day();
            let stored = reader.skiers_on(day).await.unwrap();
            let waiting = waiting(database, queue).await;
            // The batch is there as a whole or not at all.
            match stored {
                0 => assert_eq!(waiting, rides(3), "cut at {end} of {}", bytes.len()),
                2 => assert_eq!(waiting, rides(3)[2..], "cut at {end} of {}", bytes.len()),
                other => panic!("{other} skiers, cut at {end}"),
            }
        }
    }
}

/// A copy of `folder` whose journal has these bytes, followed by zeros up to `length`.
fn copy_with_journal(folder: &Path, bytes: &[u8], length: u64) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_folder(folder, copy.path());
    let (path, _) = journal(folder);
    let copied = copy.path().join("rides").join(path.file_name().unwrap());
    let file = File::create(copied).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.set_len(length).unwrap();
    copy
}

#[tokio::test]
async fn a_journal_with_a_hole_after_the_last_sync_opens_with_all_that_was_synced() {
    let folder = TempDir::new().unwrap();
    let (database, queue) = open(folder.path());
    publish(&queue, &rides(3)).await;
    let synced = journal(folder.path()).1.len();
    // A power cut comes while this message is being synced, of which the disk has written some pages and not others.
    let mut body = MessageBody::default();
    rides(300).iter().for_each(|ride| body.push(ride));
    publish_message(&queue, body).await;
    let bytes = journal(folder.path()).1;
    for hole in (synced..bytes.len() - 512).step_by(512) {
        let mut torn = bytes.clone();
        torn[hole..hole + 512].fill(0);
        let copy = copy_with_journal(folder.path(), &torn, 64 << 20);
        let (database, queue) = open(copy.path());
        assert_eq!(waiting(database, queue).await, rides(3), "hole at {hole}");
    }
    drop((database, queue));
}

#[tokio::test]
async fn a_journal_that_is_damaged_where_it_was_synced_is_refused() {
    let folder = TempDir::new().unwrap();
    let (database, queue) = open(folder.path());
    let before = journal(folder.path()).1.len();
    publish(&queue, &rides(1)).await;
    let after = journal(folder.path()).1.len();
    // None of these could have been written before the first was synced.
    publish(&queue, &rides(4)[1..]).await;
    let bytes = journal(folder.path()).1;
    // The checksum leaves out the sequence number, bytes 5 to 12 of a batch.
    for damage in [before, before + 1]
        .into_iter()
        .chain((before + 13..after - 4).step_by(3))
    {
        let mut damaged = bytes.clone();
        damaged[damage..damage + 4]
            .iter_mut()
            .for_each(|byte| *byte ^= 0xa5);
        let copy = copy_with_journal(folder.path(), &damaged, 64 << 20);
        let Err(error) = Database::open(copy.path()) else {
            panic!("a folder was opened that is damaged at {damage}")
        };
        assert!(matches!(error, DiskError::Damaged { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("at byte {before}")),
            "{damage}: {error}"
        );
    }
    drop((database, queue));
}

#[tokio::test]
async fn what_was_handed_out_when_the_process_died_comes_back_counted() {
    let folder = TempDir::new().unwrap();
    {
        let (database, queue) = open(folder.path());
        publish(&queue, &rides(3)).await;
        let engine = Embedded::new(database, queue);
        let mut pipeline = engine.open(2).await.unwrap();
        take(&mut pipeline).await;
        // Neither acknowledged nor closed.
    }
    let (database, queue) = open(folder.path());
    assert_eq!(queue.waiting_rides(), 3);
    let mut pipeline = Embedded::new(database, queue).open(10).await.unwrap();
    let mut returns = Vec::new();
    for _ in 0..3 {
        returns.push(take(&mut pipeline).await.returns);
    }
    assert_eq!(returns, [1, 1, 0]);
}

#[tokio::test]
async fn a_second_opening_is_refused_in_words() {
    let folder = TempDir::new().unwrap();
    let (database, queue) = open(folder.path());
    let Err(error) = Database::open(folder.path()) else {
        panic!("it was opened twice")
    };
    assert!(matches!(error, DiskError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    drop((database, queue));
    open(folder.path());
}

#[tokio::test]
async fn a_dead_letter_is_there_once_however_often_it_is_put_away() {
    let setup = Setup::<Folder>::new(CONFIG).await;
    let letter = |line_number| DeadLetter {
        id: format!("00000000000000ff-1-9-{line_number}"),
        line: b"poison \xff".to_vec(),
        reason: "not a ride".to_owned(),
        message: "00000000000000ff-1-9".parse().ok(),
        line_number,
    };
    let mut pipeline = setup.pipeline(1).await;
    for _ in 0..2 {
        pipeline
            .publish_dead_letters(&mut vec![letter(4), letter(5)])
            .await
            .unwrap();
        pipeline.ack_up_to(0).await.unwrap();
    }
    let queue = &setup.ground.queue;
    assert_eq!(queue.letters().unwrap(), [letter(4), letter(5)]);
    assert_eq!(queue.dead_letters(), 2);
}

#[tokio::test]
async fn dead_letters_are_bounded() {
    let setup = Setup::<Folder>::new(CONFIG).await;
    let mut pipeline = setup.pipeline(1).await;
    let letter = DeadLetter {
        id: String::new(),
        line: Vec::new(),
        reason: String::new(),
        message: None,
        line_number: 1,
    };
    let mut letters = vec![letter; 1_000_001];
    let error = pipeline
        .publish_dead_letters(&mut letters)
        .await
        .unwrap_err();
    assert!(matches!(error, DeadLetterError::Full(_)), "{error}");
    assert_eq!(letters.len(), 1_000_001);
}

#[tokio::test]
async fn a_file_of_others_where_the_database_reads_all_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    for (stray, is_directory) in [
        ("rides/x.jnl", false),
        ("rides/keyspaces/lost+found", true),
        ("rides/keyspaces/2/tables/7.bak", false),
    ] {
        let path = folder.path().join(stray);
        if is_directory {
            std::fs::create_dir(&path).unwrap();
        } else {
            std::fs::write(&path, "").unwrap();
        }
        let Err(error) = Database::open(folder.path()) else {
            panic!("opened with {stray}");
        };
        let says = error.to_string();
        assert!(
            says.ends_with(&format!(
                "contains {stray}, which Skilift did not write: move it to another place"
            )),
            "{says}"
        );
        if is_directory {
            std::fs::remove_dir(&path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
    }
    // Elsewhere it harms no one.
    std::fs::write(folder.path().join("rides/notes.txt"), "").unwrap();
    drop(open(folder.path()));
}

#[test]
fn a_folder_that_cannot_be_one_is_refused_in_words() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let Err(error) = Database::open(&path) else {
            panic!("{} was opened", path.display())
        };
        let text = error.to_string();
        assert!(
            text.contains("cannot be written") && text.contains("--data"),
            "{text}"
        );
    }
}
