//! Ski days as a driver gets them, asking every 50 ms.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use skilift_core::ride::Ride;
use skilift_load::simulation::{CATCH_UP_MS, DAY_MS, MINUTE_MS, Rate, SimulatedTime, Simulation};

/// A first day of a season.
const DAY: u64 = 366 * 20_000;

fn rate(rides_per_second: f64) -> Rate {
    Rate::new(rides_per_second).unwrap()
}

/// What comes between two real times, asked for every `every_ms`.
fn rides(rides_per_second: f64, seed: u64, from_ms: u64, to_ms: u64, every_ms: u64) -> Vec<Ride> {
    let mut simulation = Simulation::new(rate(rides_per_second), seed, from_ms);
    let mut rides = Vec::new();
    let mut now = from_ms;
    while now < to_ms {
        now = (now + every_ms).min(to_ms);
        rides.extend(simulation.rides_until(now));
    }
    rides
}

fn day(rides_per_second: f64, seed: u64, number: u64) -> Vec<Ride> {
    let from_ms = number * DAY_MS;
    rides(rides_per_second, seed, from_ms, from_ms + DAY_MS, 50)
}

/// Without those that were read twice.
fn distinct(rides: &[Ride]) -> HashSet<Ride> {
    rides.iter().copied().collect()
}

/// Mean rides a second between two times of the day, in hours and minutes.
fn pace(rides: &HashSet<Ride>, (h1, m1): (u16, u16), (h2, m2): (u16, u16)) -> f64 {
    let minutes = h1 * 60 + m1 + 1..h2 * 60 + m2 + 1;
    let seconds = minutes.len() as f64 * MINUTE_MS as f64 / 1_000.0;
    let within = |ride: &&Ride| minutes.contains(&ride.minute.get());
    rides.iter().filter(within).count() as f64 / seconds
}

#[test]
fn a_day_has_the_rate_that_was_asked_for() {
    for rides_per_second in [1.0, 7.5, 50.0, 1_000.0] {
        for number in DAY..DAY + 4 {
            let rides = distinct(&day(rides_per_second, 1, number)).len() as f64;
            let mean = rides / 240.0 / rides_per_second;
            assert!(
                (0.97..=1.01).contains(&mean),
                "{rides_per_second}/s on day {number}: {mean}"
            );
        }
    }
}

#[test]
fn a_day_begins_slowly_has_a_lunch_dip_and_ends_slowly() {
    for rides_per_second in [50.0, 1_000.0] {
        let day = distinct(&day(rides_per_second, 1, DAY));
        let pace = |from, to| pace(&day, from, to) / rides_per_second;
        let morning = pace((10, 30), (11, 45));
        assert!(pace((8, 30), (9, 0)) < 0.4, "the lifts open");
        assert!((1.2..1.7).contains(&morning), "{morning}");
        let lunch = pace((12, 15), (13, 0));
        assert!(
            lunch < 0.75 * morning && lunch > 0.25 * morning,
            "{lunch} {morning}"
        );
        assert!(pace((13, 45), (14, 30)) > 1.3 * lunch, "after lunch");
        assert!(pace((15, 30), (16, 0)) < 0.7 * morning, "people go home");
        assert!(pace((16, 15), (16, 30)) < 0.25, "the lifts close");
        for ten in (8 * 60 + 30..16 * 60 + 30).step_by(10) {
            let until = ten + 10;
            let now = pace((ten / 60, ten % 60), (until / 60, until % 60));
            assert!(now <= 2.0, "{now} at minute {ten}");
        }
    }
}

#[test]
fn only_gates_that_read_twice_repeat_a_ride() {
    let rides = day(200.0, 1, DAY);
    let repeated = rides.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(
        rides.len() - repeated,
        distinct(&rides).len(),
        "side by side"
    );
    let one_in = rides.len() / repeated;
    assert!((350..700).contains(&one_in), "one in {one_in}");
    assert!(rides.is_sorted_by_key(|ride| ride.minute));
}

#[test]
fn skiers_take_as_many_rides_and_metres_as_people_do() {
    let day = distinct(&day(200.0, 1, DAY));
    let mut skiers: HashMap<_, (u32, u32)> = HashMap::new();
    for ride in day {
        let (rides, metres) = skiers.entry(ride.skier).or_default();
        *rides += 1;
        // The API's rule where there is no catalogue.
        *metres += u32::from(ride.lift.get()) * 10;
    }
    let share = |of: &dyn Fn(&(u32, u32)) -> bool| {
        skiers.values().filter(|skier| of(skier)).count() as f64 / skiers.len() as f64
    };
    assert!(share(&|&(rides, _)| (8..=20).contains(&rides)) > 0.9);
    assert!(share(&|&(_, metres)| (2_000..=10_000).contains(&metres)) > 0.9);
    let leaders = share(&|&(rides, _)| rides > 25);
    assert!((0.002..0.03).contains(&leaders), "{leaders}");
    assert!(skiers.values().all(|&(rides, _)| rides < 45));
}

#[test]
fn some_come_back_in_their_season_and_new_ones_in_the_next() {
    let season: Vec<HashSet<Ride>> = (DAY..DAY + 30).map(|n| distinct(&day(5.0, 1, n))).collect();
    let mut days: HashMap<_, u32> = HashMap::new();
    for rides in &season {
        let skiers: HashMap<_, _> = rides.iter().map(|ride| (ride.skier, ride.resort)).collect();
        for skier in skiers {
            *days.entry(skier).or_default() += 1;
        }
    }
    let visits: u32 = days.values().sum();
    let of_regulars: u32 = days.values().filter(|&&days| days > 1).sum();
    let share = f64::from(of_regulars) / f64::from(visits);
    assert!((0.25..0.45).contains(&share), "{share}");
    assert!(*days.values().max().unwrap() >= 6);

    let next = distinct(&day(5.0, 1, DAY + 366));
    let known: HashSet<_> = days.keys().map(|&(skier, _)| skier).collect();
    assert!(next.iter().all(|ride| !known.contains(&ride.skier)));
}

#[test]
fn runs_with_other_seeds_are_on_the_mountain_with_other_skiers() {
    let skiers = |seed| {
        let rides = day(50.0, seed, DAY);
        rides.iter().map(|ride| ride.skier).collect::<HashSet<_>>()
    };
    assert_eq!(skiers(1).intersection(&skiers(2)).count(), 0);
}

#[test]
fn the_clock_follows_its_table() {
    let at = |epoch_ms| {
        let time = SimulatedTime::at(epoch_ms);
        (time.season.get(), time.day.get(), time.minute.get())
    };
    assert_eq!(at(0), (2000, 1, 511));
    assert_eq!(at(499), (2000, 1, 511));
    assert_eq!(at(500), (2000, 1, 512));
    assert_eq!(at(DAY_MS - 1), (2000, 1, 990));
    assert_eq!(at(DAY_MS), (2000, 2, 511));
    assert_eq!(at(366 * DAY_MS - 1), (2000, 366, 990));
    assert_eq!(at(366 * DAY_MS), (2001, 1, 511));
    assert_eq!(at(36_600 * DAY_MS), (2000, 1, 511));
    // Whatever a broken clock says is some time.
    assert_eq!(at(u64::MAX).2, 511 + (u64::MAX % DAY_MS / 500) as u16);
}

#[test]
fn rides_come_when_the_clock_says_their_minute() {
    let from_ms = DAY * DAY_MS + DAY_MS - 20_000;
    let mut simulation = Simulation::new(rate(100.0), 1, from_ms);
    let mut days = BTreeMap::new();
    for now in (from_ms..from_ms + 60_000).step_by(500) {
        let time = SimulatedTime::at(now);
        for ride in simulation.rides_until(now + 500) {
            assert_eq!((ride.season, ride.day), (time.season, time.day));
            assert_eq!(ride.minute, time.minute);
            *days.entry(ride.day.get()).or_insert(0) += 1;
        }
    }
    assert_eq!(days.keys().copied().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn who_asks_late_gets_the_last_seconds_and_no_missed_days() {
    let noon = DAY * DAY_MS + 100_000;
    let expected = rides(50.0, 1, noon - CATCH_UP_MS, noon, 50);
    assert!(expected.len() > 300);
    // 55 years late: it would never end if the days between were simulated.
    let mut simulation = Simulation::new(rate(50.0), 1, 0);
    assert_eq!(simulation.rides_until(noon), expected);
    assert_eq!(simulation.rides_until(noon), [], "asked for before");
    assert_eq!(simulation.rides_until(noon - 5_000), [], "set back");
    let next = simulation.rides_until(noon + 1_000);
    assert_eq!(next, rides(50.0, 1, noon, noon + 1_000, 50));
}

#[test]
fn rates_are_numbers_in_range() {
    assert_eq!("50".parse::<Rate>().unwrap().get(), 50.0);
    for text in ["0", "-1", "NaN", "inf", "2001", "", "many"] {
        let error = text.parse::<Rate>().unwrap_err().to_string();
        assert!(
            error.starts_with("the simulated rate must be 0.1 to 2000 rides per second, not "),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn how_often_one_asks_and_where_one_begins_changes_no_ride(
        seed: u64,
        rides_per_second in 0.1..60.0,
        number in 0..10_000_000_u64,
        begins_ms in 0..DAY_MS,
        every_ms in 1..CATCH_UP_MS,
    ) {
        // Into the next day.
        let (from_ms, to_ms) = (number * DAY_MS + begins_ms, (number + 1) * DAY_MS + 50_000);
        let some = rides(rides_per_second, seed, from_ms, to_ms, every_ms);
        let all = rides(rides_per_second, seed, number * DAY_MS, to_ms, CATCH_UP_MS);
        prop_assert!(all.ends_with(&some));
        prop_assert!(all.len() >= distinct(&all).len());
        for ride in &all {
            prop_assert!((1..=3).contains(&ride.resort.get()));
            prop_assert!((511..=990).contains(&ride.minute.get()));
        }
        let before = rides(rides_per_second, seed, number * DAY_MS, from_ms, every_ms);
        prop_assert_eq!([before, some].concat(), all);
    }
}
