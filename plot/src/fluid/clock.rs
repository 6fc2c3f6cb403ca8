//! Times of day and dates in UTC, and the ticks of a time axis.

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Maximum number of ticks.
const MAX_TICKS: u64 = 7;
/// Maximum number of columns.
const MAX_COLUMNS: u64 = 60;
/// Natural distances between two times, in milliseconds.
const STEPS: [u64; 13] = [
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    4 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
];

/// A tick of the time axis.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimeTick {
    /// In milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) label: String,
    /// Whether a narrow page omits it, because its label is wide.
    pub(super) is_minor: bool,
}

/// About six ticks at round times.
pub(super) fn ticks(from_ms: u64, span_ms: u64) -> Vec<TimeTick> {
    let step = step(span_ms.div_ceil(MAX_TICKS));
    let to_ms = from_ms.saturating_add(span_ms);
    let has_date = has_date(span_ms);
    (from_ms.div_ceil(step)..=to_ms / step)
        .map(|at| TimeTick {
            at_ms: at * step,
            label: label(at * step, has_date),
            is_minor: has_date && at % 2 == 1,
        })
        .collect()
}

/// Start and end of columns of about a minute, at most 60, between round times.
pub(super) fn columns(from_ms: u64, span_ms: u64, step_ms: u64) -> Vec<(u64, u64)> {
    let width = step(span_ms.div_ceil(MAX_COLUMNS).max(step_ms));
    let to_ms = from_ms.saturating_add(span_ms);
    let all = from_ms / width..to_ms.div_ceil(width);
    // A part of a column at the start may be one too many.
    let first = all.end.saturating_sub(MAX_COLUMNS).max(all.start);
    (first..all.end)
        .map(|at| {
            let start = at * width;
            (start.max(from_ms), start.saturating_add(width).min(to_ms))
        })
        .collect()
}

/// The time of a point of a time axis: "10:42", or "12-27 18:00" if the axis is longer than a day.
pub(super) fn time(at_ms: u64, span_ms: u64) -> String {
    label(at_ms, has_date(span_ms))
}

fn has_date(span_ms: u64) -> bool {
    span_ms > DAY_MS
}

/// The smallest natural distance that is at least `least_ms`.
fn step(least_ms: u64) -> u64 {
    let natural = STEPS.into_iter().find(|step| *step >= least_ms);
    natural.unwrap_or_else(|| least_ms.div_ceil(DAY_MS).saturating_mul(DAY_MS))
}

fn label(at_ms: u64, has_date: bool) -> String {
    let (hour, minute) = (at_ms % DAY_MS / HOUR_MS, at_ms % HOUR_MS / MINUTE_MS);
    if has_date {
        let (month, day) = date(at_ms / DAY_MS);
        format!("{month:02}-{day:02} {hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

/// Month and day of a number of days since 1970, in the Gregorian calendar, whose 400 years have 146,097 days. Years are
/// counted from March, so that the leap day is the last one (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: u64) -> (u64, u64) {
    let of_era = (days + 719_468) % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-12-27, 10:12:20.
    const NOW: u64 = 1_766_830_340_000;

    fn labels(span_ms: u64) -> Vec<String> {
        let ticks = ticks(NOW, span_ms);
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_at_round_times() {
        assert_eq!(
            labels(10 * MINUTE_MS),
            ["10:14", "10:16", "10:18", "10:20", "10:22"]
        );
        assert_eq!(
            labels(30 * MINUTE_MS),
            ["10:15", "10:20", "10:25", "10:30", "10:35", "10:40"]
        );
        assert_eq!(
            labels(HOUR_MS),
            ["10:20", "10:30", "10:40", "10:50", "11:00", "11:10"]
        );
        assert_eq!(
            labels(DAY_MS),
            ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00"]
        );
        let week = labels(7 * DAY_MS);
        assert_eq!((week.len(), &*week[0]), (7, "12-28 00:00"));
        assert_eq!(week[6], "01-03 00:00");
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(time(0, 2 * DAY_MS), "01-01 00:00");
        // 2024-02-29 and 2025-03-01.
        assert_eq!(date(19_782), (2, 29));
        assert_eq!(date(20_148), (3, 1));
        assert_eq!(date(20_147), (2, 28));
        // Far beyond any year that has four digits.
        assert!(!time(u64::MAX, DAY_MS + 1).is_empty());
    }

    #[test]
    fn columns_are_few_and_cover_the_axis() {
        for span in [10 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, DAY_MS, 7 * DAY_MS] {
            let columns = columns(NOW, span, 10_000);
            assert!((11..=60).contains(&columns.len()), "{columns:?}");
            assert_eq!(columns[columns.len() - 1].1, NOW + span);
            assert!(columns.windows(2).all(|pair| pair[0].1 == pair[1].0));
        }
        assert_eq!(columns(NOW, 10 * MINUTE_MS, 1_000)[0].0, NOW);
    }
}
