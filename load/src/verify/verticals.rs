//! Day verticals before and after a run, on servers that do not list rides.
//!
//! A skier day's vertical must have risen by what its accepted rides rise, and may have risen by what its unknown rides
//! rise on top: a range. A lift is taken to rise 10 m times its number, as in the system that this API comes from. Whether
//! that holds for this server is seen on the skier days with a single ride: where most of those that rose rose by something
//! else, nothing can be compared.

use super::crawl::Heard;
use super::lists::{METRES_PER_LIFT_NUMBER, told};
use super::skier_days::{SkierDay, SkierDays, Standing};

/// Stands for a vertical that could not be read.
const UNREADABLE: u32 = u32::MAX;

/// Verticals before a run, by skier day: 12 bytes each.
#[derive(Debug)]
pub(crate) struct Baseline {
    days: Vec<SkierDay>,
    metres: Vec<u32>,
}

impl Baseline {
    /// Of these skier days, sorted and without copies, nothing is known yet.
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

    /// The skier days whose vertical is not known, with their places.
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

/// Takes in what was heard of a skier day.
pub(super) fn judge(days: &mut SkierDays, heard: &Heard, baseline: &Baseline) {
    let (state, rides) = days.entry(heard.at);
    state.standing = Standing::Unasked;
    let Some(before) = baseline.of(state.day) else {
        return;
    };
    let Some(after) = heard.vertical.as_ref().and_then(told) else {
        return;
    };
    let sum = |accepted: bool| {
        let of_fate = rides
            .iter()
            .filter(|(_, ride)| ride.is_accepted() == accepted);
        of_fate.map(|(_, ride)| rise(ride.lift())).sum::<u64>()
    };
    let (accepted, unknown) = (sum(true), sum(false));
    let risen = after.saturating_sub(before);
    let metres = |metres: u64| u32::try_from(metres).unwrap_or(u32::MAX);
    state.there = metres(risen.min(accepted));
    state.foreign = metres(risen.saturating_sub(accepted + unknown));
    state.standing = if after < before || risen < accepted {
        Standing::Missing
    } else if state.foreign > 0 {
        Standing::Over
    } else {
        Standing::Complete
    };
}

/// The least number of accepted rides whose loss explains what is missing on a skier day.
pub(super) fn least_lost(days: &SkierDays, at: usize) -> u64 {
    let accepted = days.rides(at).filter(|ride| ride.is_accepted());
    let mut rises: Vec<u64> = accepted.map(|ride| rise(ride.lift())).collect();
    rises.sort_unstable_by(|a, b| b.cmp(a));
    let there = u64::from(days.days[at].there);
    let mut missing = rises.iter().sum::<u64>().saturating_sub(there);
    let mut lost = 0;
    for rise in rises {
        // At least one: the vertical may even have fallen.
        if missing == 0 && lost > 0 {
            break;
        }
        missing = missing.saturating_sub(rise);
        lost += 1;
    }
    lost
}

/// Whether the skier days with a single ride follow the rule. Those that did not rise say nothing.
pub(super) fn follows_rule(days: &SkierDays) -> bool {
    let (mut fit, mut contradict) = (0_u64, 0_u64);
    for (at, day) in days.days.iter().enumerate() {
        let mut rides = days.rides(at);
        let (Some(ride), None) = (rides.next(), rides.next()) else {
            continue;
        };
        let risen = u64::from(day.there) + u64::from(day.foreign);
        match day.standing {
            Standing::Unasked => {}
            _ if risen == 0 => {}
            // Of an unknown ride's rise nothing is kept, unless it is too much.
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
    use crate::connection::Answer;
    use crate::fates::Fate;

    /// One skier day with these lifts, once a minute.
    fn days(lifts: &[(u16, Fate)]) -> SkierDays {
        let ride = |(minute, (lift, fate)): (usize, &(u16, Fate))| {
            let ride = serde_json::json!({
                "resortID": 1, "seasonID": 2025, "dayID": 1, "skierID": 1, "time": minute + 1, "liftID": lift
            });
            (serde_json::from_value(ride).unwrap(), *fate)
        };
        SkierDays::new(lifts.iter().enumerate().map(ride))
    }

    fn judged(lifts: &[(u16, Fate)], before: u64, after: u64) -> (Standing, u64, bool) {
        let mut days = days(lifts);
        let mut baseline = Baseline::new(vec![days.days[0].day]);
        baseline.set(0, Some(before));
        let vertical = Some(Answer {
            status: 200,
            retry_after: None,
            body: after.to_string().into(),
        });
        let heard = Heard {
            at: 0,
            list: None,
            vertical,
        };
        judge(&mut days, &heard, &baseline);
        (
            days.days[0].standing,
            least_lost(&days, 0),
            follows_rule(&days),
        )
    }

    #[test]
    fn the_rise_is_compared_with_a_range() {
        let lifts = [(3, Fate::Accepted), (5, Fate::Accepted), (7, Fate::Unknown)];
        for (after, standing, lost) in [
            (80, Standing::Complete, None),
            (150, Standing::Complete, None),
            (160, Standing::Over, None),
            (50, Standing::Missing, Some(1)),
            (30, Standing::Missing, Some(1)),
            (20, Standing::Missing, Some(2)),
            (0, Standing::Missing, Some(2)),
        ] {
            let (seen, least, _) = judged(&lifts, 1000, 1000 + after);
            assert_eq!(seen, standing, "{after}");
            assert!(lost.is_none_or(|lost| lost == least), "{after}: {least}");
        }
        assert_eq!(judged(&lifts, 1000, 900).0, Standing::Missing);
    }

    #[test]
    fn a_server_with_other_verticals_is_noticed() {
        let single = [(3, Fate::Accepted)];
        assert!(judged(&single, 0, 30).2);
        assert!(judged(&single, 0, 0).2);
        assert!(!judged(&single, 0, 420).2);
        assert!(!judged(&single, 0, 12).2);
    }
}
