//! The proof: what is stored against what was answered, ride by ride.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use skilift_core::packed::Boarding;
use skilift_core::reconciliation::{OwnQueue, Reconciliation};
use skilift_core::ride::{Day, ResortDay, ResortId, Ride, Season, SkierId};
use skilift_core::store::Reader;
use skilift_core::store::counters::{DayCounters, hour_of};

use crate::load::Sent;

/// Questions that are asked at once.
const QUESTIONS_AT_ONCE: usize = 32;

/// The outcome of one crash.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) stored: usize,
    /// Rides with a 201 that are not stored.
    pub(crate) lost: usize,
    /// Rides that are stored and were never sent.
    pub(crate) foreign: usize,
    /// Rides that a list or a counter holds more than once.
    pub(crate) doubled: usize,
    /// Dead letters.
    pub(crate) dead: u64,
    /// The books.
    pub(crate) books: Reconciliation,
}

/// Fails unless all is there, once.
pub(crate) fn judge(crash: &str, sent: &Sent, figures: &Figures) {
    report(crash, sent, figures);
    assert_eq!(
        (figures.lost, figures.foreign, figures.doubled, figures.dead),
        (0, 0, 0, 0),
        "{crash}: {figures:?}"
    );
    assert!(
        sent.accepted.len() > 100,
        "{crash}: too few rides to prove anything"
    );
    check_books(crash, sent, figures);
}

/// Fails unless the books say what a recount and the clients say. Each request is one ride.
fn check_books(crash: &str, sent: &Sent, figures: &Figures) {
    let books = &figures.books;
    assert_eq!(
        (books.applied, books.dead, books.replayed, books.foreign),
        (figures.stored as u64, figures.dead, 0, 0),
        "{crash}: {books:?}"
    );
    // A ride that was answered 503, or not at all, may be in the queue all the same.
    assert!(
        (sent.created..=sent.requests).contains(&books.settled),
        "{crash}: {} answers of 201, {} requests: {books:?}",
        sent.created,
        sent.requests
    );
    assert!(books.duplicate() >= 0, "{crash}: {books:?}");
    let of_epochs: u64 = books.epochs.iter().map(|book| book.rides).sum();
    assert_eq!(of_epochs, books.settled, "{crash}: {books:?}");
    if let Some(own_queue) = books.own_queue {
        let settled = OwnQueue {
            accepted: books.settled,
            waiting: 0,
        };
        assert_eq!(own_queue, settled, "{crash}");
    }
    for book in &books.epochs {
        // A message that comes before one that was marked and is not marked itself is lost.
        assert_eq!(book.marked.len(), 1, "{crash}: {book:?}");
        assert_eq!(book.marked[0].0, 1, "{crash}: {book:?}");
    }
}

/// Compares what was sent with the ride lists, as a client was told them, and with the store, counters recounted and
/// indexes checked.
pub(crate) async fn compare(
    sent: &Sent,
    listed: Vec<Ride>,
    reader: &impl Reader,
    dead: u64,
) -> Figures {
    let (ledger, mut doubled) = read_ledger(reader).await;
    doubled += listed.len().abs_diff(ledger.len());
    let listed: BTreeSet<Ride> = listed.into_iter().collect();
    Figures {
        stored: ledger.len(),
        lost: sent.accepted.difference(&listed).count(),
        foreign: ledger.difference(&sent.sent).count(),
        doubled,
        dead,
        books: reader.reconciliation().await.unwrap(),
    }
}

/// Every ride in the ledger, and by how many its lists exceed them. The counters must be a recount.
async fn read_ledger(reader: &impl Reader) -> (BTreeSet<Ride>, usize) {
    let mut ledger = BTreeSet::new();
    let mut doubled = 0;
    for day in all_days() {
        let mut recount = DayCounters::default();
        let mut lifts = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut visit = |skier, boardings: Vec<Boarding>| {
            // A scan may show a skier twice.
            if !seen.insert(skier) {
                return;
            }
            for boarding in boardings {
                let ResortDay {
                    resort,
                    season,
                    day,
                } = day;
                let ride = Ride {
                    resort,
                    season,
                    day,
                    skier,
                    minute: boarding.minute,
                    lift: boarding.lift,
                };
                if ledger.insert(ride) {
                    recount.rides += 1;
                    recount.hours[hour_of(boarding.minute)] += 1;
                    *lifts.entry(boarding.lift).or_insert(0) += 1;
                } else {
                    doubled += 1;
                }
            }
        };
        reader.scan_day(day, &mut visit).await.unwrap();
        recount.lifts = lifts.into_iter().collect();
        let counters = reader.counters(day).await.unwrap();
        assert_eq!(
            DayCounters {
                duplicates: 0,
                ..counters
            },
            recount,
            "the counters of {day} are no recount"
        );
        assert_eq!(reader.skiers_on(day).await.unwrap(), seen.len() as u64);
    }
    check_indexes(reader, &ledger).await;
    (ledger, doubled)
}

/// Every ride is found by its skier, and by its resort and season.
async fn check_indexes(reader: &impl Reader, ledger: &BTreeSet<Ride>) {
    let mut days: BTreeMap<SkierId, BTreeSet<ResortDay>> = BTreeMap::new();
    for ride in ledger {
        days.entry(ride.skier)
            .or_default()
            .insert(ride.resort_day());
    }
    for (skier, days) in days {
        let indexed = reader.days_of_skier(skier, &|_| true).await.unwrap();
        let indexed: BTreeSet<ResortDay> = indexed.into_iter().collect();
        assert_eq!(indexed, days, "the index of skier {skier}");
    }
    let resorts: BTreeSet<ResortId> = ledger.iter().map(|ride| ride.resort).collect();
    assert_eq!(
        reader.resorts().await.unwrap(),
        resorts.iter().copied().collect::<Vec<_>>()
    );
    for resort in resorts {
        assert_eq!(reader.seasons(resort).await.unwrap().len(), 1);
    }
}

/// Asks for the rides of every skier and day that these rides are of.
pub(crate) async fn ask_ride_lists(url: &str, rides: &BTreeSet<Ride>) -> Vec<Ride> {
    let http = skilift_servers::http();
    let lists: BTreeSet<_> = rides
        .iter()
        .map(|ride| (ride.resort_day(), ride.skier))
        .collect();
    let ask = |(on, skier): (ResortDay, _)| {
        let ResortDay {
            resort,
            season,
            day,
        } = on;
        let url = format!("{url}/skiers/{resort}/seasons/{season}/days/{day}/skiers/{skier}/rides");
        let http = http.clone();
        async move {
            let answer = http.get(url).send().await.unwrap();
            if answer.status() == 404 {
                return Vec::new();
            }
            let list: serde_json::Value = answer.json().await.unwrap();
            let rides = list["rides"].as_array().unwrap().clone();
            let to_ride = |entry: serde_json::Value| Ride {
                resort,
                season,
                day,
                skier,
                minute: serde_json::from_value(entry["time"].clone()).unwrap(),
                lift: serde_json::from_value(entry["liftID"].clone()).unwrap(),
            };
            rides.into_iter().map(to_ride).collect()
        }
    };
    let asked: Vec<Vec<Ride>> = stream::iter(lists)
        .map(ask)
        .buffer_unordered(QUESTIONS_AT_ONCE)
        .collect()
        .await;
    asked.concat()
}

/// The days over which [`crate::load::distinct_ride`] spreads.
pub(crate) fn all_days() -> impl Iterator<Item = ResortDay> {
    let season: Season = "2025".parse().unwrap();
    (1..=3).flat_map(move |resort| {
        (1..=2).map(move |day| ResortDay {
            resort: ResortId::new(resort).unwrap(),
            season,
            day: Day::new(day).unwrap(),
        })
    })
}

pub(crate) fn report(crash: &str, sent: &Sent, figures: &Figures) {
    eprintln!(
        "{crash}: sent {}, 201 {}, 503 {}, unanswered {}, stored {}, lost {}, doubled {}; books: {} settled, {} duplicate, {} lane lives",
        sent.requests,
        sent.created,
        sent.refused,
        sent.unanswered,
        figures.stored,
        figures.lost,
        figures.doubled,
        figures.books.settled,
        figures.books.duplicate(),
        figures.books.epochs.len()
    );
}
