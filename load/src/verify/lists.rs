//! Compares ride lists with the sent rides, and day verticals with the lists.
//!
//! A list shows the stored rides. The day's vertical must be the sum of their lifts' verticals. The vertical of a lift is
//! assumed to be 10 m times its number (the rule of the system that this API comes from, and ours without a catalogue) if
//! that matches, and is otherwise derived from the days with a single lift; a day with a lift whose vertical cannot be derived
//! is not compared.

use std::collections::HashMap;

use serde::Deserialize;

use super::crawl::DayResponses;
use super::skier_days::{CheckState, SkierDay, SkierDays};
use crate::connection::HttpResponse;
use crate::judge::day_vertical;

/// Assumed vertical of a lift in metres per unit of its number.
pub(super) const METRES_PER_LIFT_NUMBER: u64 = 10;
/// Maximum number of stored days whose vertical does not follow the rule.
const MAX_CANDIDATES: usize = 500_000;

#[derive(Deserialize)]
struct List {
    rides: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    time: u16,
    #[serde(rename = "liftID")]
    lift: u16,
}

/// Statistics of the verticals of many days.
#[derive(Debug, Default)]
pub(super) struct Verticals {
    /// Days that follow the rule.
    pub(super) agreed: u64,
    /// Number of such days of each lift.
    by_rule: HashMap<(u16, u16), u64>,
    /// Days that do not follow the rule.
    pub(super) candidates: Vec<Candidate>,
}

/// A day whose vertical does not follow the rule.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its index among the skier days.
    pub(super) at: usize,
    pub(super) day: SkierDay,
    lifts: Vec<u16>,
    /// `None` if the server has none.
    vertical: Option<u64>,
}

/// Adds the responses of a skier day.
pub(super) fn judge(days: &mut SkierDays, responses: DayResponses, verticals: &mut Verticals) {
    let (state, rides) = days.entry(responses.at);
    state.check_state = CheckState::NotRead;
    let Some(listed) = responses.list.as_ref().and_then(read) else {
        return;
    };
    for (_, ride) in rides.iter_mut() {
        ride.set_found(false);
    }
    state.foreign = 0;
    let mut doubled = 0_u32;
    for Listed { time, lift } in &listed {
        match rides.binary_search_by_key(&(*time, *lift), |(_, ride)| (ride.minute(), ride.lift()))
        {
            Ok(found) if rides[found].1.is_found() => doubled += 1,
            Ok(found) => rides[found].1.set_found(true),
            Err(_) => state.foreign += 1,
        }
    }
    let accepted = || rides.iter().filter(|(_, ride)| ride.is_accepted());
    let there = accepted().filter(|(_, ride)| ride.is_found()).count();
    let is_complete = there == accepted().count();
    state.there = there as u32;
    state.doubled = doubled;
    state.check_state = if is_complete {
        CheckState::Complete
    } else {
        CheckState::Missing
    };
    if state.check_state == CheckState::Complete
        && let Some(vertical) = &responses.vertical
        // An error response is no evidence about the sum.
        && vertical.status < 500
    {
        let lifts = listed.iter().map(|ride| ride.lift).collect();
        verticals.add(responses.at, state.day, lifts, metres_in(vertical));
    }
}

/// The rides listed in a response; `None` if it is not a list.
fn read(answer: &HttpResponse) -> Option<Vec<Listed>> {
    match answer.status {
        200 => Some(serde_json::from_slice::<List>(&answer.body).ok()?.rides),
        404 => Some(Vec::new()),
        _ => None,
    }
}

/// The vertical in a response: 0 m if there is no ride.
pub(super) fn metres_in(answer: &HttpResponse) -> Option<u64> {
    match answer.status {
        200 => day_vertical(answer),
        404 => Some(0),
        _ => None,
    }
}

impl Verticals {
    fn add(&mut self, at: usize, day: SkierDay, lifts: Vec<u16>, vertical: Option<u64>) {
        let by_rule: u64 =
            lifts.iter().map(|lift| u64::from(*lift)).sum::<u64>() * METRES_PER_LIFT_NUMBER;
        if vertical == Some(by_rule) {
            self.agreed += 1;
            for lift in lifts {
                *self.by_rule.entry((day.resort(), lift)).or_default() += 1;
            }
        } else if self.candidates.len() < MAX_CANDIDATES {
            self.candidates.push(Candidate {
                at,
                day,
                lifts,
                vertical,
            });
        }
    }

    /// The vertical of each lift according to most days.
    pub(super) fn lift_verticals(&self) -> HashMap<(u16, u16), u64> {
        let mut votes: HashMap<(u16, u16), HashMap<u64, u64>> = HashMap::new();
        for ((resort, lift), days) in &self.by_rule {
            let metres = u64::from(*lift) * METRES_PER_LIFT_NUMBER;
            votes
                .entry((*resort, *lift))
                .or_default()
                .insert(metres, *days);
        }
        for candidate in &self.candidates {
            if let Some((lift, metres)) = candidate.single_lift() {
                let lift = votes.entry((candidate.day.resort(), lift)).or_default();
                *lift.entry(metres).or_default() += 1;
            }
        }
        let most =
            |metres: HashMap<u64, u64>| metres.into_iter().max_by_key(|(m, days)| (*days, *m));
        votes
            .into_iter()
            .filter_map(|(lift, metres)| Some((lift, most(metres)?.0)))
            .collect()
    }
}

impl Candidate {
    /// The lift of a day with a single lift, and its vertical.
    fn single_lift(&self) -> Option<(u16, u64)> {
        let (first, vertical) = (*self.lifts.first()?, self.vertical?);
        let rides = self.lifts.len() as u64;
        let single = self.lifts.iter().all(|lift| *lift == first) && vertical % rides == 0;
        single.then_some((first, vertical / rides))
    }

    /// Whether its vertical is the sum of its rides; `None` if unknown.
    pub(super) fn agrees(&self, learned: &HashMap<(u16, u16), u64>) -> Option<bool> {
        let metres = |lift: &u16| learned.get(&(self.day.resort(), *lift)).copied();
        let sum: u64 = self.lifts.iter().map(metres).sum::<Option<u64>>()?;
        Some(self.vertical == Some(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome_log::RideOutcome;

    fn answer(status: u16, body: String) -> HttpResponse {
        HttpResponse {
            status,
            retry_after: None,
            body: body.into(),
        }
    }

    /// Skier days of resort 1 with one accepted ride each, at minute 5, of these lifts.
    fn days(lifts: &[u16]) -> SkierDays {
        let ride = |(skier, lift): (usize, &u16)| {
            let ride = serde_json::json!({
                "resortID": 1, "seasonID": 2025, "dayID": 1, "skierID": skier + 1, "time": 5, "liftID": lift
            });
            (serde_json::from_value(ride).unwrap(), RideOutcome::Accepted)
        };
        SkierDays::new(lifts.iter().enumerate().map(ride))
    }

    fn judge_day(
        days: &mut SkierDays,
        verticals: &mut Verticals,
        at: usize,
        rides: &[(u16, u16)],
        vertical: u64,
    ) {
        let rides: Vec<_> = rides
            .iter()
            .map(|(time, lift)| serde_json::json!({"time": time, "liftID": lift}))
            .collect();
        let list = serde_json::json!({ "rides": rides }).to_string();
        let responses = DayResponses {
            at,
            list: Some(answer(200, list)),
            vertical: Some(answer(200, vertical.to_string())),
        };
        judge(days, responses, verticals);
    }

    #[test]
    fn a_list_is_held_against_what_was_sent() {
        let mut days = days(&[3, 3, 3, 3]);
        let mut verticals = Verticals::default();
        judge_day(&mut days, &mut verticals, 0, &[(5, 3)], 30);
        judge_day(&mut days, &mut verticals, 1, &[(6, 3)], 30);
        judge_day(&mut days, &mut verticals, 2, &[(5, 3), (5, 3), (9, 9)], 150);
        let check_states: Vec<_> = days
            .days
            .iter()
            .map(|day| (day.check_state, day.foreign, day.doubled))
            .collect();
        assert_eq!(
            check_states,
            [
                (CheckState::Complete, 0, 0),
                (CheckState::Missing, 1, 0),
                (CheckState::Complete, 1, 1),
                (CheckState::NotRead, 0, 0)
            ]
        );
        assert_eq!(verticals.agreed, 2);
    }

    #[test]
    fn a_lift_beyond_all_lifts_is_nobody_s_ride() {
        let mut days = days(&[3]);
        judge_day(
            &mut days,
            &mut Verticals::default(),
            0,
            &[(5, 3 + 1024)],
            30,
        );
        assert_eq!(
            (days.days[0].check_state, days.days[0].foreign),
            (CheckState::Missing, 1)
        );
    }

    #[test]
    fn a_vertical_that_cannot_be_read_is_not_compared() {
        let mut days = days(&[3]);
        let mut verticals = Verticals::default();
        let list = r#"{"rides":[{"time":5,"liftID":3}]}"#.to_owned();
        let responses = DayResponses {
            at: 0,
            list: Some(answer(200, list)),
            vertical: Some(answer(503, "busy".to_owned())),
        };
        judge(&mut days, responses, &mut verticals);
        assert_eq!(days.days[0].check_state, CheckState::Complete);
        assert_eq!((verticals.agreed, verticals.candidates.len()), (0, 0));
    }

    #[test]
    fn verticals_of_a_catalogue_are_learned_and_the_odd_one_is_seen() {
        let lifts = [3, 3, 3, 4, 4, 5];
        let mut days = days(&lifts);
        let mut verticals = Verticals::default();
        for (at, vertical) in [420, 420, 840, 380, 380, 77].into_iter().enumerate() {
            judge_day(&mut days, &mut verticals, at, &[(5, lifts[at])], vertical);
        }
        let learned = verticals.lift_verticals();
        assert_eq!((learned[&(1, 3)], learned[&(1, 4)]), (420, 380));
        let agree: Vec<_> = verticals
            .candidates
            .iter()
            .map(|day| day.agrees(&learned))
            .collect();
        let yes = Some(true);
        assert_eq!(agree, [yes, yes, Some(false), yes, yes, yes]);
    }

    #[test]
    fn a_lift_that_nothing_tells_of_is_not_compared() {
        let mut days = days(&[3]);
        let mut verticals = Verticals::default();
        judge_day(&mut days, &mut verticals, 0, &[(5, 3), (6, 4)], 999);
        assert_eq!(
            verticals.candidates[0].agrees(&verticals.lift_verticals()),
            None
        );
    }

    #[test]
    fn one_odd_day_among_those_of_the_rule_is_wrong() {
        let mut days = days(&[3, 3, 3]);
        let mut verticals = Verticals::default();
        for (at, vertical) in [30, 30, 60].into_iter().enumerate() {
            judge_day(&mut days, &mut verticals, at, &[(5, 3)], vertical);
        }
        assert_eq!(
            verticals.candidates[0].agrees(&verticals.lift_verticals()),
            Some(false)
        );
    }
}
