//! Charts of a console that has recorded for long, and of one that has not.

use scraper::{Html, Selector};

use super::*;

/// 2025-12-27, 10:42:07, in milliseconds since 1970.
const NOW: u64 = 1_766_832_127_000;

fn point(at_ms: u64) -> HistoryPoint {
    HistoryPoint {
        at_ms,
        publish_per_s: Some(12_000.0),
        ack_per_s: Some(11_900.0),
        reads_per_s: Some(0.0),
        rejected_per_s: Some(0.0),
        backlog_rides: Some(538),
        accept_to_stored_p99_ms: Some(118),
        oldest_ride_age_ms: Some(0),
        dead_letters: Some(14),
        workers: Some(4),
        threads: Some(16),
    }
}

/// What the console has at a moment: a point per second or per minute.
fn history(range: Range, now_ms: u64) -> HistoryView {
    let step_ms = range.step_s() * 1_000;
    let kept = if step_ms == 1_000 { 3_600 } else { 10_080 };
    let last = now_ms / step_ms;
    // The current minute is not over.
    let end = if step_ms == 1_000 { last + 1 } else { last };
    HistoryView {
        step_s: range.step_s(),
        points: (end - kept..end).map(|at| point(at * step_ms)).collect(),
    }
}

fn change(at_ms: u64, what: &str) -> AppliedChange {
    AppliedChange {
        number: 7,
        at_ms,
        actor: "ben".to_owned(),
        what: what.to_owned(),
        plan: Some("p213".to_owned()),
    }
}

fn of(range: Range, now_ms: u64) -> Charts {
    Charts::of(&history(range, now_ms), range, TWO_COLUMNS, now_ms, &[])
}

fn count_of(charts: &Charts, selector: &str) -> usize {
    let html = Html::parse_fragment(&charts.rates.to_string());
    html.select(&Selector::parse(selector).unwrap()).count()
}

#[test]
fn charts_stay_the_same_for_ten_seconds() {
    for range in Range::ALL {
        // The edge moves two seconds after a round time.
        let start = NOW - NOW % 60_000 + 2_000;
        let all = |now_ms| {
            let charts = of(range, now_ms);
            [charts.rates, charts.backlog, charts.stored, charts.threads]
                .map(|chart| chart.to_string())
        };
        let first = all(start);
        for later in [1_000, 5_000, 9_999] {
            assert_eq!(all(start + later), first, "{range:?} after {later} ms");
        }
        assert_ne!(all(start + 60_000), first, "{range:?}");
    }
}

#[test]
fn charts_have_few_points_and_no_gap() {
    for range in Range::ALL {
        let charts = of(range, NOW);
        assert_eq!(count_of(&charts, ".gap"), 0, "{range:?}");
        assert_eq!(count_of(&charts, "path"), 3, "{range:?}");
        let svg = charts.rates.to_string();
        let (_, path) = svg.split_once("class=\"line a\" d=\"").unwrap();
        let points = path.split('"').next().unwrap().matches('L').count();
        assert!((170..=360).contains(&points), "{range:?}: {points}");
        assert!(count_of(&charts, ".hits rect") <= 60);
    }
    let charts = of(Range::HalfHour, NOW);
    assert_eq!(charts.caption, "10:12 to 10:42 UTC, one point every 10 s");
    assert_eq!(
        of(Range::Day, NOW).caption,
        "12-26 10:40 to 12-27 10:42 UTC, one point every 5 min"
    );
}

#[test]
fn what_is_missing_is_unknown() {
    let mut history = history(Range::HalfHour, NOW);
    let first = NOW - NOW % 60_000 - 600_000;
    history
        .points
        .retain(|point| point.at_ms >= first && point.at_ms < NOW - 60_000);
    for point in &mut history.points {
        if point.at_ms >= NOW - 300_000 {
            point.ack_per_s = None;
        }
    }
    let charts = Charts::of(&history, Range::HalfHour, TWO_COLUMNS, NOW, &[]);
    // Nothing is recorded; later no rate of the workers; at the end nothing, too short for a label.
    let labels = Html::parse_fragment(&charts.rates.to_string());
    let labels = labels
        .select(&Selector::parse(".gap-label").unwrap())
        .count();
    assert_eq!((count_of(&charts, ".gap"), labels), (3, 2));
    assert_eq!(charts.now.accepted, "unknown");
    // From 10:32 to 10:41.
    assert_eq!(charts.rows.len(), 10);
    assert_eq!(charts.rows[0].cells[..2], ["12,000", "unknown"]);
    let current = of(Range::HalfHour, NOW).now;
    assert_eq!(
        [
            current.accepted,
            current.stored,
            current.backlog,
            current.p99,
            current.threads
        ],
        ["12,000", "11,900", "538", "118 ms", "16"]
    );
}

#[test]
fn the_table_has_a_row_per_minute() {
    let rows = |range| of(range, NOW).rows;
    assert_eq!(rows(Range::HalfHour).len(), 30);
    assert_eq!(rows(Range::Week).len(), 60);
    let newest = &rows(Range::TenMinutes)[0];
    assert!(newest.at.to_string().contains(">10:41:00<"));
    assert_eq!(
        newest.cells,
        [
            "12,000",
            "11,900",
            "0",
            "538",
            "118 ms",
            "none waiting",
            "14",
            "4",
            "16"
        ]
    );
}

#[test]
fn changes_are_marked_and_cannot_break_out() {
    let hostile = "<script>alert(1)</script>\" data-live>";
    let mut changes: Vec<AppliedChange> = (0..11)
        .map(|at| change(NOW - 600_000 + at * 10_000, "set worker threads"))
        .collect();
    changes[10].what = hostile.to_owned();
    let history = history(Range::HalfHour, NOW);
    let charts = Charts::of(&history, Range::HalfHour, TWO_COLUMNS, NOW, &changes);
    assert_eq!((charts.changes.len(), charts.earlier), (9, 2));
    assert_eq!(charts.changes[0].marker, 1);
    // They are within 80 s of half an hour and share a marker; the list has each of them.
    assert_eq!(count_of(&charts, ".markers circle"), 0);
    assert_eq!(count_of(&charts, ".markers .is-many rect"), 1);
    assert_eq!(count_of(&charts, ".markers .is-many line"), 9);
    let svg = charts.rates.to_string();
    assert!(!svg.contains("<script") && !svg.contains(" data-live>"));
    assert!(svg.contains("<title>9 changes: ") && svg.contains(">×9</text>"));
    assert!(svg.contains("ben: set worker threads (plan p213)"));
}

#[test]
fn changes_far_apart_have_a_marker_each() {
    let changes: Vec<AppliedChange> = (0..5)
        .map(|at| change(NOW - 900_000 + at * 120_000, "set worker threads"))
        .collect();
    let history = history(Range::HalfHour, NOW);
    let charts = Charts::of(&history, Range::HalfHour, TWO_COLUMNS, NOW, &changes);
    assert_eq!(count_of(&charts, ".markers circle"), 5);
    assert_eq!(count_of(&charts, ".markers .is-many"), 0);
}

#[test]
fn a_range_is_one_of_five() {
    assert_eq!(Range::parse(None).unwrap(), Range::HalfHour);
    for range in Range::ALL {
        assert_eq!(Range::parse(Some(range.word())).unwrap(), range);
        let points = range.span_ms() / 1_000 / range.point_s();
        assert!((170..=360).contains(&points), "{range:?}");
    }
    let error = Range::parse(Some("2h")).unwrap_err();
    assert_eq!(
        error.message(),
        "range must be one of 10m, 30m, 1h, 24h, 7d"
    );
}
