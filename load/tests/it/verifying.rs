//! Verify finds what was done to the rides, by their lists and by day verticals.

use std::time::{Duration, Instant};

use skilift_load::plan::{LoadConfig, Schedule, Until};
use skilift_load::verify::{MethodName, Verification};

use crate::foreign::{Behaviour, Foreign, Ledger, key};
use crate::settings::{outcome, summary, verified, workload};

const RIDES: u64 = 400;

fn without_lists() -> Behaviour {
    Behaviour {
        lists: false,
        ..Behaviour::default()
    }
}

async fn verify(server: &Foreign) -> Verification {
    let summary = summary(verified(&server.target, RIDES)).await;
    assert_eq!(summary.requests.sent, RIDES);
    summary.verify.unwrap()
}

/// Loads a server whose ledger is edited before it is verified.
async fn verify_edited(
    behaviour: Behaviour,
    edit: impl FnOnce(&mut Ledger) + Send + 'static,
) -> Verification {
    let server = Foreign::start(behaviour).await;
    server.edit_after(RIDES, edit);
    verify(&server).await
}

/// Found, lost, wrong, pending, foreign.
fn counts(verify: &Verification) -> [u64; 5] {
    let Verification {
        found,
        lost,
        wrong,
        pending,
        foreign,
        ..
    } = verify;
    [*found, *lost, *wrong, *pending, *foreign]
}

fn first(ledger: &mut Ledger) -> &mut Vec<(u64, u64)> {
    ledger.values_mut().next().unwrap()
}

fn remove(ledger: &mut Ledger) {
    assert!(first(ledger).pop().is_some());
}

#[tokio::test]
async fn a_server_that_keeps_everything_has_lost_nothing() {
    let server = Foreign::start(Behaviour::default()).await;
    let verify = verify(&server).await;
    assert_eq!(verify.method, MethodName::RideLists);
    assert_eq!(counts(&verify), [RIDES, 0, 0, 0, 0], "{verify:?}");
    assert_eq!(verify.verticals_compared, verify.skier_days);
    let stored: usize = server.ledger().values().map(Vec::len).sum();
    assert_eq!(stored as u64, RIDES);
}

#[tokio::test]
async fn a_removed_ride_is_lost() {
    let verify = verify_edited(Behaviour::default(), remove).await;
    assert_eq!(counts(&verify), [RIDES - 1, 1, 0, 0, 0], "{verify:?}");
    assert!(
        verify.examples[0].starts_with("lost: resort 1 season 2025 day 1 skier "),
        "{verify:?}"
    );
    let all = verify_edited(Behaviour::default(), Ledger::clear).await;
    assert_eq!(counts(&all), [0, RIDES, 0, 0, 0], "{all:?}");
}

#[tokio::test]
async fn an_added_ride_is_foreign() {
    let verify = verify_edited(Behaviour::default(), |ledger| {
        first(ledger).push((1440, 999))
    })
    .await;
    assert_eq!(counts(&verify), [RIDES, 0, 0, 0, 1], "{verify:?}");
}

#[tokio::test]
async fn an_altered_ride_is_lost_and_another_one_foreign() {
    let verify = verify_edited(Behaviour::default(), |ledger| first(ledger)[0].1 += 500).await;
    assert_eq!(counts(&verify), [RIDES - 1, 1, 0, 0, 1], "{verify:?}");
}

#[tokio::test]
async fn a_ride_that_is_listed_twice_is_wrong() {
    let twice = |ledger: &mut Ledger| {
        let ride = first(ledger)[0];
        first(ledger).push(ride);
    };
    let verify = verify_edited(Behaviour::default(), twice).await;
    assert_eq!(counts(&verify), [RIDES, 0, 1, 0, 0], "{verify:?}");
}

#[tokio::test]
async fn a_vertical_that_is_not_the_sum_of_its_rides_is_wrong() {
    let server = Foreign::start(Behaviour {
        too_much: |skier| u64::from(skier == 7) * 5,
        ..Behaviour::default()
    })
    .await;
    let config = verified(&server.target, RIDES);
    let rides = workload(&config);
    let days: std::collections::BTreeSet<_> = (0..RIDES)
        .map(|number| key(&rides.ride(number)))
        .filter(|(_, _, skier)| *skier == 7)
        .collect();
    let verify = verify(&server).await;
    assert!(!days.is_empty());
    assert_eq!(
        counts(&verify),
        [RIDES, 0, days.len() as u64, 0, 0],
        "{verify:?}"
    );
    assert!(
        verify.examples[0].contains("skier 7 is not the sum"),
        "{verify:?}"
    );
}

#[tokio::test]
async fn a_day_with_a_lift_that_nothing_tells_of_is_not_compared() {
    let server = Foreign::start(Behaviour {
        metres: |lift| if lift == 999 { 1 } else { lift * 10 },
        ..Behaviour::default()
    })
    .await;
    server.edit_after(RIDES, |ledger| {
        first(ledger).push((1440, 999));
        ledger.values_mut().nth(1).unwrap().push((1440, 999));
    });
    let verify = verify(&server).await;
    assert_eq!(counts(&verify), [RIDES, 0, 0, 0, 2], "{verify:?}");
    assert_eq!(verify.verticals_compared, verify.skier_days - 2);
}

#[tokio::test]
async fn verticals_of_a_catalogue_are_learned() {
    let server = Foreign::start(Behaviour {
        metres: |lift| 300 + lift % 7,
        ..Behaviour::default()
    })
    .await;
    let mut config = verified(&server.target, RIDES);
    // Few rides a skier day, so that each lift is alone somewhere.
    config.ranges.skiers = skilift_load::workload::parse_range("5000").unwrap();
    let verify = summary(config).await.verify.unwrap();
    assert_eq!(counts(&verify), [RIDES, 0, 0, 0, 0], "{verify:?}");
    assert!(
        verify.verticals_compared * 10 > verify.skier_days * 9,
        "{verify:?}"
    );
}

#[tokio::test]
async fn rides_that_are_stored_later_are_waited_for() {
    let server = Foreign::start(Behaviour {
        delay: Duration::from_millis(300),
        ..Behaviour::default()
    })
    .await;
    let verify = verify(&server).await;
    assert_eq!(counts(&verify), [RIDES, 0, 0, 0, 0], "{verify:?}");
    assert!(verify.took_s >= 0.2, "{verify:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_pending() {
    let config = verified(&"http://127.0.0.1:1".parse().unwrap(), RIDES);
    let rides = workload(&config);
    let of_seven = (0..RIDES)
        .filter(|number| rides.ride(*number).skier.get() == 7)
        .count() as u64;
    let verify = verify_edited(
        Behaviour {
            unreadable: |skier| skier == 7,
            ..Behaviour::default()
        },
        |_| {},
    )
    .await;
    assert!(of_seven > 0);
    assert_eq!(
        counts(&verify),
        [RIDES - of_seven, 0, 0, of_seven, 0],
        "{verify:?}"
    );
}

#[tokio::test]
async fn a_target_that_freezes_is_not_waited_for_longer_than_patience() {
    // 2,000 skier days at 32 at a time would be 60 timeouts one behind the other.
    for (lists, read_before) in [(true, 2), (false, 2000)] {
        let server = Foreign::start(Behaviour {
            lists,
            answers: read_before + 100,
            ..Behaviour::default()
        })
        .await;
        let mut config = verified(&server.target, 4000);
        config.ranges.skiers = skilift_load::workload::parse_range("2000").unwrap();
        config.timeout = Duration::from_millis(500);
        let started = Instant::now();
        let verify = summary(config).await.verify.unwrap();
        assert!(
            started.elapsed() < Duration::from_secs(25),
            "{:?}",
            started.elapsed()
        );
        let [found, lost, _, pending, _] = counts(&verify);
        assert_eq!((found + pending, lost), (4000, 0), "{verify:?}");
        assert!(pending > 3000, "{verify:?}");
    }
}

#[tokio::test]
async fn what_still_waits_in_the_queue_is_pending() {
    let behaviour = Behaviour {
        backlog: Some(1),
        ..Behaviour::default()
    };
    let verify = verify_edited(behaviour, remove).await;
    assert_eq!(counts(&verify), [RIDES - 1, 0, 0, 1, 0], "{verify:?}");
}

#[tokio::test]
async fn rides_of_unknown_fate_may_be_there() {
    // Every tenth post gets an answer that does not tell, and every twentieth is stored all the same.
    for lists in [true, false] {
        let server = Foreign::start(Behaviour {
            lists,
            post: |number| (number % 10 == 9).then_some((302, number % 20 == 9)),
            ..Behaviour::default()
        })
        .await;
        let summary = summary(verified(&server.target, RIDES)).await;
        let verify = summary.verify.unwrap();
        assert_eq!(
            (verify.accepted, verify.unknown),
            (RIDES * 9 / 10, RIDES / 10)
        );
        assert_eq!(counts(&verify), [RIDES * 9 / 10, 0, 0, 0, 0], "{verify:?}");
        assert_eq!(summary.requests.failed, RIDES / 10);
    }
}

#[tokio::test]
async fn a_server_without_lists_is_compared_by_verticals() {
    let server = Foreign::start(without_lists()).await;
    // What was there before does not count.
    let target = verified(&server.target, RIDES);
    for number in 0..50 {
        let ride = workload(&target).ride(number);
        server.store(key(&ride), (1440, 1000));
    }
    let verify = verify(&server).await;
    assert_eq!(verify.method, MethodName::DayVerticals);
    assert_eq!(counts(&verify), [RIDES, 0, 0, 0, 0], "{verify:?}");
    assert_eq!(verify.verticals_compared, verify.skier_days);
}

#[tokio::test]
async fn without_lists_a_removed_an_added_and_an_altered_ride_are_seen() {
    let removed = verify_edited(without_lists(), remove).await;
    assert_eq!(counts(&removed), [RIDES - 1, 1, 0, 0, 0], "{removed:?}");
    let added = verify_edited(without_lists(), |ledger| first(ledger).push((1, 5))).await;
    assert_eq!(counts(&added), [RIDES, 0, 1, 0, 1], "{added:?}");
    let lower = verify_edited(without_lists(), |ledger| {
        let lower = ledger.values_mut().flatten().find(|ride| ride.1 > 1);
        lower.unwrap().1 = 1;
    });
    let lower = lower.await;
    assert_eq!(counts(&lower), [RIDES - 1, 1, 0, 0, 0], "{lower:?}");
    let higher = verify_edited(without_lists(), |ledger| first(ledger)[0].1 += 3).await;
    assert_eq!(counts(&higher), [RIDES, 0, 1, 0, 1], "{higher:?}");
}

#[tokio::test]
async fn verticals_that_follow_another_rule_are_not_compared() {
    let server = Foreign::start(Behaviour {
        metres: |lift| 300 + lift,
        ..without_lists()
    })
    .await;
    let verify = verify(&server).await;
    assert_eq!(counts(&verify), [0, 0, 0, RIDES, 0], "{verify:?}");
    assert!(verify.note.unwrap().contains("10 m times the lift number"));
}

#[tokio::test]
async fn without_lists_it_must_be_known_what_will_be_sent() {
    let server = Foreign::start(without_lists()).await;
    let config = |schedule| LoadConfig {
        schedule,
        ..verified(&server.target, RIDES)
    };
    let time = Until::Time(Duration::from_millis(500));
    let error = outcome(config(Schedule::Closed(time))).await.unwrap_err();
    let error = skilift_core::lifecycle::chain(&error);
    assert!(error.contains("set --rides or --rate"), "{error}");
    // The first attempt has left its first ride there, which would not rise again.
    let mut known = config(Schedule::Rate(200.0, time));
    known.seed += 1;
    let summary = summary(known).await;
    let verify = summary.verify.unwrap();
    // The last one is due at the very end.
    assert!((100..=101).contains(&verify.accepted), "{verify:?}");
    assert_eq!(
        (verify.found, verify.lost),
        (verify.accepted, 0),
        "{verify:?}"
    );
}

#[tokio::test]
async fn a_server_that_accepts_nothing_is_not_verified() {
    let server = Foreign::start(Behaviour {
        post: |_| Some((400, false)),
        ..without_lists()
    })
    .await;
    let error = outcome(verified(&server.target, 20)).await.unwrap_err();
    let error = skilift_core::lifecycle::chain(&error);
    assert!(
        error
            .contains("accepted none of the first 20 rides; the last response was 400: answer 400"),
        "{error}"
    );
}
