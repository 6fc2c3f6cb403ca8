//! The proof: what is stored against what was answered, ride by ride.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use skilift_core::ride::{Day, ResortDay, ResortId, Ride, Season, SkierId};
use skilift_core::store::redis::counters::{DayCounters, hour_of};

use crate::load::Sent;
use crate::system::System;

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
}

impl System {
    /// Waits until everything is stored, then proves that nothing is lost and nothing doubled.
    pub(crate) async fn prove(&self, crash: &str, sent: &Sent) {
        self.wait_until_stored().await;
        let figures = self.compare(sent).await;
        let dead = self.messages_in(&self.stack.dead_letter_queue()).await;
        report(crash, sent, &figures);
        assert_eq!(
            (figures.lost, figures.foreign, figures.doubled, dead),
            (0, 0, 0, 0),
            "{crash}: {figures:?}"
        );
        assert!(
            sent.accepted.len() > 100,
            "{crash}: too few rides to prove anything"
        );
    }

    /// Compares without judging.
    pub(crate) async fn compare(&self, sent: &Sent) -> Figures {
        let (ledger, mut doubled) = self.read_ledger().await;
        // The counters are recounted above; the lists are asked as a client asks them.
        let listed = self.ask_ride_lists(&ledger).await;
        doubled += listed.len().abs_diff(ledger.len());
        let listed: BTreeSet<Ride> = listed.into_iter().collect();
        Figures {
            stored: ledger.len(),
            lost: sent.accepted.difference(&listed).count(),
            foreign: ledger.difference(&sent.sent).count(),
            doubled,
        }
    }

    /// Every ride in the ledger, and by how many the ledger's lists and counters exceed them.
    async fn read_ledger(&self) -> (BTreeSet<Ride>, usize) {
        let reader = self.reader();
        let mut ledger = BTreeSet::new();
        let mut doubled = 0;
        for day in all_days() {
            let mut recount = DayCounters::default();
            let mut lifts = BTreeMap::new();
            let mut seen = BTreeSet::new();
            let visit = |skier, boardings: Vec<skilift_core::packed::Boarding>| {
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
            reader.scan_day(day, visit).await.unwrap();
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
        }
        self.check_indexes(&ledger).await;
        (ledger, doubled)
    }

    /// Every ride is found by its skier, and by its resort and season.
    async fn check_indexes(&self, ledger: &BTreeSet<Ride>) {
        let reader = self.reader();
        let mut days: BTreeMap<SkierId, BTreeSet<ResortDay>> = BTreeMap::new();
        for ride in ledger {
            days.entry(ride.skier)
                .or_default()
                .insert(ride.resort_day());
        }
        for (skier, days) in days {
            let indexed: BTreeSet<ResortDay> = reader
                .days_of_skier(skier)
                .await
                .unwrap()
                .into_iter()
                .collect();
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

    async fn ask_ride_lists(&self, ledger: &BTreeSet<Ride>) -> Vec<Ride> {
        let http = reqwest::Client::new();
        let lists: BTreeSet<_> = ledger
            .iter()
            .map(|ride| (ride.resort_day(), ride.skier))
            .collect();
        let ask = |(on, skier): (ResortDay, _)| {
            let ResortDay {
                resort,
                season,
                day,
            } = on;
            let url = format!(
                "{}/skiers/{resort}/seasons/{season}/days/{day}/skiers/{skier}/rides",
                self.url
            );
            let http = http.clone();
            async move {
                let list: serde_json::Value =
                    http.get(url).send().await.unwrap().json().await.unwrap();
                let rides = list["rides"].as_array().unwrap().clone();
                let to_ride = |entry: serde_json::Value| Ride {
                    resort,
                    season,
                    day,
                    skier,
                    minute: serde_json::from_value(entry["time"].clone()).unwrap(),
                    lift: serde_json::from_value(entry["liftID"].clone()).unwrap(),
                };
                rides.into_iter().map(to_ride).collect::<Vec<Ride>>()
            }
        };
        let asked: Vec<Vec<Ride>> = stream::iter(lists)
            .map(ask)
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .collect()
            .await;
        asked.concat()
    }
}

/// The days over which [`crate::load::distinct_ride`] spreads.
fn all_days() -> impl Iterator<Item = ResortDay> {
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
        "{crash}: sent {}, 201 {}, 503 {}, unanswered {}, stored {}, lost {}, doubled {}",
        sent.requests,
        sent.created,
        sent.refused,
        sent.unanswered,
        figures.stored,
        figures.lost,
        figures.doubled
    );
}
