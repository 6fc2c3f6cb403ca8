//! Day verticals before and after a run, on servers that do not list rides.
//!
//! The vertical of a skier day must increase by the verticals of its accepted rides, and may also increase by those of its
//! unknown rides: a range. The vertical of a lift is assumed to be 10 m times its number, as in the system that this API comes
//! from. The skier days with a single ride show whether this server follows that rule: if most of those that increased did so
//! by another amount, the comparison is impossible.

use super::crawl::DayResponses;
use super::lists::{METRES_PER_LIFT_NUMBER, metres_in};
use super::skier_days::{CheckState, SkierDay, SkierDays};

/// Marks a vertical that could not be read.
const UNREADABLE: u32 = u32::MAX;

/// Verticals before a run, by skier day: 12 bytes each.
#[derive(Debug)]
pub(crate) struct Baseline {
    days: Vec<SkierDay>,
    metres: Vec<u32>,
}

impl Baseline {
    /// Creates unknown verticals of these skier days, which must be sorted and unique.
    pub(super) fn new(days: Vec<SkierDay>) -> Self {
        Self {
            metres: vec![UNREADABLE; days.len()],
            days,
        }
    }

    pub(super) fn set(&mut self, at: usize, metres: Option<u64>) {
        let metres = metres.and_then(|metres| u32::try_from(metres).ok());
        self.metres[at] = metres.unwrap_or(UNREADABLE);
    }

    /// The skier days with an unknown vertical, with their indexes.
    pub(super) fn unread(&self) -> Vec<(usize, SkierDay)> {
        let unread =
            |(at, day): (usize, &SkierDay)| (self.metres[at] == UNREADABLE).then_some((at, *day));
        self.days.iter().enumerate().filter_map(unread).collect()
    }

    pub(super) fn of(&self, day: SkierDay) -> Option<u64> {
        let at = self.days.binary_search(&day).ok()?;
        (self.metres[at] != UNREADABLE).then(|| u64::from(self.metres[at]))
    }
}

fn rise(lift: u16) -> u64 {
    u64::from(lift) * METRES_PER_LIFT_NUMBER
}

/// Adds the response of a skier day.
pub(super) fn judge(days: &mut SkierDays, responses: &DayResponses, baseline: &Baseline) {
    let (state, rides) = days.entry(responses.at);
    state.check_state = CheckState::NotRead;
    let Some(before) = baseline.of(state.day) else {
        return;
    };
    let Some(after) = responses.vertical.as_ref().and_then(metres_in) else {
        return;
    };
    let sum = |accepted: bool| {
        let of_outcome = rides
            .iter()
            .filter(|(_, ride)| ride.is_accepted() == accepted);
        of_outcome.map(|(_, ride)| rise(ride.lift())).sum::<u64>()
    };
    let (accepted, unknown) = (sum(true), sum(false));
    let risen = after.saturating_sub(before);
    let metres = |metres: u64| u32::try_from(metres).unwrap_or(u32::MAX);
    state.there = metres(risen.min(accepted));
    state.foreign = metres(risen.saturating_sub(accepted + unknown));
    state.check_state = if after < before || risen < accepted {
        CheckState::Missing
    } else if state.foreign > 0 {
        CheckState::Over
    } else {
        CheckState::Complete
    };
}

/// Minimum number of accepted rides whose loss explains the missing vertical of a skier day.
pub(super) fn least_lost(days: &SkierDays, at: usize) -> u64 {
    let accepted = days.rides(at).filter(|ride| ride.is_accepted());
    let mut rises: Vec<u64> = accepted.map(|ride| rise(ride.lift())).collect();
    rises.sort_unstable_by(|a, b| b.cmp(a));
    let there = u64::from(days.days[at].there);
    let mut missing = rises.iter().sum::<u64>().saturating_sub(there);
    let mut lost = 0;
    for rise in rises {
        // At least one: the vertical may even have decreased.
        if missing == 0 && lost > 0 {
            break;
        }
        missing = missing.saturating_sub(rise);
        lost += 1;
    }
    lost
}

/// Whether the skier days with a single ride follow the rule; days without an increase are no evidence.
pub(super) fn follows_rule(days: &SkierDays) -> bool {
    let (mut fit, mut contradict) = (0_u64, 0_u64);
    for (at, day) in days.days.iter().enumerate() {
        let mut rides = days.rides(at);
        let (Some(ride), None) = (rides.next(), rides.next()) else {
            continue;
        };
        let risen = u64::from(day.there) + u64::from(day.foreign);
        match day.check_state {
            CheckState::NotRead => {}
            _ if risen == 0 => {}
            // The vertical of an unknown ride is not stored, unless it is too large.
            _ if ride.is_accepted() && risen == rise(ride.lift()) => fit += 1,
            _ if ride.is_accepted() || day.foreign > 0 => contradict += 1,
            _ => {}
        }
    }
    contradict <= fit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::HttpResponse;
    use crate::outcome_log::RideOutcome;

    /// One skier day with these lifts, once a minute.
    fn days(lifts: &[(u16, RideOutcome)]) -> SkierDays {
        let ride = |(minute, (lift, outcome)): (usize, &(u16, RideOutcome))| {
            let ride = serde_json::json!({
                "resortID": 1, "seasonID": 2025, "dayID": 1, "skierID": 1, "time": minute + 1, "liftID": lift
            });
            (serde_json::from_value(ride).unwrap(), *outcome)
        };
        SkierDays::new(lifts.iter().enumerate().map(ride))
    }

    fn judged(lifts: &[(u16, RideOutcome)], before: u64, after: u64) -> (CheckState, u64, bool) {
        let mut days = days(lifts);
        let mut baseline = Baseline::new(vec![days.days[0].day]);
        baseline.set(0, Some(before));
        let vertical = Some(HttpResponse {
            status: 200,
            retry_after: None,
            body: after.to_string().into(),
        });
        let responses = DayResponses {
            at: 0,
            list: None,
            vertical,
        };
        judge(&mut days, &responses, &baseline);
        (
            days.days[0].check_state,
            least_lost(&days, 0),
            follows_rule(&days),
        )
    }

    #[test]
    fn the_rise_is_compared_with_a_range() {
        let lifts = [
            (3, RideOutcome::Accepted),
            (5, RideOutcome::Accepted),
            (7, RideOutcome::Unknown),
        ];
        for (after, check_state, lost) in [
            (80, CheckState::Complete, None),
            (150, CheckState::Complete, None),
            (160, CheckState::Over, None),
            (50, CheckState::Missing, Some(1)),
            (30, CheckState::Missing, Some(1)),
            (20, CheckState::Missing, Some(2)),
            (0, CheckState::Missing, Some(2)),
        ] {
            let (seen, least, _) = judged(&lifts, 1000, 1000 + after);
            assert_eq!(seen, check_state, "{after}");
            assert!(lost.is_none_or(|lost| lost == least), "{after}: {least}");
        }
        assert_eq!(judged(&lifts, 1000, 900).0, CheckState::Missing);
    }

    #[test]
    fn a_server_with_other_verticals_is_noticed() {
        let single = [(3, RideOutcome::Accepted)];
        assert!(judged(&single, 0, 30).2);
        assert!(judged(&single, 0, 0).2);
        assert!(!judged(&single, 0, 420).2);
        assert!(!judged(&single, 0, 12).2);
    }
}
