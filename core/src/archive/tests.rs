//! What is written of a day is read again, and nothing else.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use proptest::prelude::*;

use super::*;
use crate::ride::{LiftId, Minute};

fn day(number: u64) -> ResortDay {
    serde_json::from_value::<crate::ride::Ride>(serde_json::json!({
        "resortID": 7, "seasonID": "2025", "dayID": number, "skierID": 1, "time": 1, "liftID": 1
    }))
    .unwrap()
    .resort_day()
}

fn skier(number: u64) -> SkierId {
    SkierId::new(number).unwrap()
}

fn boarding(minute: u64, lift: u64) -> Boarding {
    Boarding {
        minute: Minute::new(minute).unwrap(),
        lift: LiftId::new(lift).unwrap(),
    }
}

/// Many skiers, with rides enough for several gzip members.
fn many() -> DayRides {
    let rides =
        |number: u64| (0..1 + number % 9).map(move |n| boarding(1 + n * 60, 1 + number % 40));
    (1..=3_000)
        .map(|number| (skier(number * 3), rides(number).collect()))
        .collect()
}

struct Fixture {
    directory: tempfile::TempDir,
    archive: Archive,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let archive = Archive::new(directory.path(), &"alps".parse().unwrap());
    Fixture { directory, archive }
}

#[tokio::test]
async fn a_day_is_written_and_found_again() {
    let Fixture { directory, archive } = fixture();
    let written = archive.write(day(12), many(), 5).await.unwrap();
    assert_eq!((written.skiers, written.archived_at_ms), (3_000, 5));
    assert_eq!(archive.read_all(day(12), &written).await.unwrap(), many());
    let path = directory
        .path()
        .join("alps/resort-7/season-2025/day-012.ndjson.gz");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), written.bytes);
    for (number, rides) in [
        (3, 2),
        (8_997, 3),
        (9_000, 4),
        (4_500, 7),
        (4, 0),
        (9_001, 0),
        (1, 0),
    ] {
        let found = archive
            .rides_of(skier(number), vec![(day(12), written.clone())])
            .await
            .unwrap();
        let expected = many().remove(&skier(number)).unwrap_or_default();
        assert_eq!((found[0].len(), &found[0]), (rides, &expected), "{number}");
        let days = archive.days_of(skier(number), vec![day(12)]).await.unwrap();
        assert_eq!(days.len(), usize::from(rides > 0));
    }
    // Anyone's tools read it as one file of lines that the API takes.
    let mut text = String::new();
    let content = std::fs::read(&path).unwrap();
    MultiGzDecoder::new(content.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text.lines().count() as u64, written.rides);
    assert_eq!(
        text.lines().next(),
        Some(r#"{"resortID":7,"seasonID":"2025","dayID":12,"skierID":3,"time":1,"liftID":2}"#)
    );
}

#[tokio::test]
async fn what_is_not_what_was_archived_is_not_answered_from() {
    let Fixture { archive, .. } = fixture();
    let written = archive.write(day(1), many(), 0).await.unwrap();
    let other = archive.write(day(2), many(), 0).await.unwrap();
    let path = archive.rides_file(day(1));
    let content = std::fs::read(&path).unwrap();
    let of_one = async || {
        archive
            .rides_of(skier(3), vec![(day(1), written.clone())])
            .await
    };
    let assert_refused = async |content: &[u8], says: &str| {
        std::fs::write(&path, content).unwrap();
        let all = archive
            .read_all(day(1), &written)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            all.contains("is not what was archived: its SHA-256"),
            "{all}"
        );
        let one = of_one().await.unwrap_err();
        let one = crate::lifecycle::chain(&one);
        assert!(one.contains(says), "{one}");
    };
    assert_refused(&content[..content.len() - 1], "bytes instead of").await;
    let mut flipped = content.clone();
    flipped[40] ^= 1;
    assert_refused(&flipped, "day-001.ndjson.gz").await;
    std::fs::write(&path, &content).unwrap();
    // An index that was cut off between two entries must not say that a skier was not there.
    let index = std::fs::read(archive.index_file(day(1))).unwrap();
    for length in [0, 12, index.len() - 12, index.len() - 1] {
        std::fs::write(archive.index_file(day(1)), &index[..length]).unwrap();
        for number in [3, 9_000, 9_001] {
            let days = archive.days_of(skier(number), vec![day(1)]).await;
            assert!(days.is_err(), "{length}: {days:?}");
        }
    }
    std::fs::write(archive.index_file(day(1)), &index).unwrap();
    assert!(of_one().await.is_ok());
    // The files of another day.
    for (from, to) in [
        (archive.rides_file(day(2)), path.clone()),
        (archive.index_file(day(2)), archive.index_file(day(1))),
    ] {
        std::fs::copy(from, to).unwrap();
    }
    let error = archive
        .rides_of(skier(3), vec![(day(1), other)])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("it has a ride of 7:2025:2"),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    let error = of_one().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_the_earlier_one_stays() {
    let Fixture { directory, archive } = fixture();
    let written = archive.write(day(1), many(), 0).await.unwrap();
    let in_the_way = archive.index_file(day(2));
    std::fs::create_dir_all(&in_the_way).unwrap();
    let error = archive.write(day(2), many(), 0).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert_eq!(archive.read_all(day(1), &written).await.unwrap(), many());
    let left: Vec<_> = std::fs::read_dir(directory.path().join("alps/resort-7/season-2025"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("day-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_day_comes_back_as_it_was(
        input in prop::collection::btree_map(1..=u64::from(u32::MAX), prop::collection::btree_set((1..=1440_u64, 1..=1000_u64), 1..4), 0..300)
    ) {
        let rides: DayRides = input
            .iter()
            .map(|(&number, rides)| (skier(number), rides.iter().map(|&(minute, lift)| boarding(minute, lift)).collect()))
            .collect();
        let Fixture { archive, .. } = &fixture();
        let written = writing::write(archive, day(3), &rides, 0).unwrap();
        prop_assert_eq!(&reading::read_all(archive, day(3), &written).unwrap(), &rides);
        for (&skier, expected) in &rides {
            prop_assert_eq!(&reading::rides_of(archive, day(3), skier, &written).unwrap(), expected);
        }
    }
}
