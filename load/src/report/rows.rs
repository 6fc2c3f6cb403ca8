//! The timeline as a table: one flat row per second.

use serde::Serialize;

use crate::timeline::{Second, Timeline};

/// The names of the columns, units included.
const HEADER: [&str; 13] = [
    "at_s",
    "intended",
    "sent",
    "succeeded",
    "failed",
    "retried",
    "held_back",
    "breaker_open_share",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "latency_max_ms",
    "backlog_rides",
];

/// A second as a row, in the order of the header.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
struct Row {
    at_s: u32,
    intended: Option<u64>,
    sent: u64,
    succeeded: u64,
    failed: u64,
    retried: u64,
    held_back: u64,
    breaker_open_share: Option<f64>,
    latency_p50_ms: Option<f64>,
    latency_p95_ms: Option<f64>,
    latency_p99_ms: Option<f64>,
    latency_max_ms: Option<f64>,
    backlog_rides: Option<f64>,
}

impl From<&Second> for Row {
    fn from(second: &Second) -> Self {
        // Values that are not finite are unknown, as in JSON.
        let known = |value: Option<f64>| value.filter(|value| value.is_finite());
        let latency = second.latency;
        Row {
            at_s: second.at_s,
            intended: second.intended,
            sent: second.sent,
            succeeded: second.succeeded,
            failed: second.failed,
            retried: second.retried,
            held_back: second.held_back,
            breaker_open_share: known(second.breaker_open_share),
            latency_p50_ms: known(latency.map(|latency| latency.p50_ms)),
            latency_p95_ms: known(latency.map(|latency| latency.p95_ms)),
            latency_p99_ms: known(latency.map(|latency| latency.p99_ms)),
            latency_max_ms: known(latency.map(|latency| latency.max_ms)),
            backlog_rides: known(second.backlog_rides),
        }
    }
}

/// The timeline as CSV, with a header even if there is no second.
pub(super) fn to_csv(timeline: &Timeline) -> String {
    const INTO_MEMORY: &str = "memory takes every row";
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(HEADER).expect(INTO_MEMORY);
    for second in &timeline.seconds {
        writer.serialize(Row::from(second)).expect(INTO_MEMORY);
    }
    let bytes = writer.into_inner().expect(INTO_MEMORY);
    String::from_utf8(bytes).expect("numbers and names are ASCII")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::timeline::Quantiles;

    fn read(text: &str) -> Timeline {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.deserialize::<Row>().map(Result::unwrap);
        let second = |row: Row| Second {
            at_s: row.at_s,
            intended: row.intended,
            sent: row.sent,
            succeeded: row.succeeded,
            failed: row.failed,
            retried: row.retried,
            held_back: row.held_back,
            breaker_open_share: row.breaker_open_share,
            latency: row.latency_p50_ms.map(|p50_ms| Quantiles {
                p50_ms,
                p95_ms: row.latency_p95_ms.unwrap(),
                p99_ms: row.latency_p99_ms.unwrap(),
                max_ms: row.latency_max_ms.unwrap(),
            }),
            backlog_rides: row.backlog_rides,
        };
        Timeline {
            seconds: rows.map(second).collect(),
        }
    }

    fn any_second() -> impl Strategy<Value = Second> {
        let number = || prop::option::of(prop::num::f64::NORMAL | prop::num::f64::ZERO);
        let counts = any::<[u64; 5]>();
        let latency = prop::option::of(prop::array::uniform4(0.0..1e9));
        (
            any::<u32>(),
            prop::option::of(any::<u64>()),
            counts,
            number(),
            latency,
            number(),
        )
            .prop_map(
                |(
                    at_s,
                    intended,
                    [sent, succeeded, failed, retried, held_back],
                    share,
                    latency,
                    backlog_rides,
                )| Second {
                    at_s,
                    intended,
                    sent,
                    succeeded,
                    failed,
                    retried,
                    held_back,
                    breaker_open_share: share,
                    latency: latency.map(|[p50_ms, p95_ms, p99_ms, max_ms]| Quantiles {
                        p50_ms,
                        p95_ms,
                        p99_ms,
                        max_ms,
                    }),
                    backlog_rides,
                },
            )
    }

    proptest! {
        #[test]
        fn a_timeline_reads_back_as_it_was(seconds in prop::collection::vec(any_second(), 0..20)) {
            let timeline = Timeline { seconds };
            prop_assert_eq!(read(&to_csv(&timeline)), timeline);
        }
    }

    #[test]
    fn the_header_stands_alone_and_unknown_is_empty() {
        assert_eq!(to_csv(&Timeline::default()), HEADER.join(",") + "\n");
        let second = Second {
            at_s: 7,
            sent: 12,
            backlog_rides: Some(f64::NAN),
            ..Second::default()
        };
        let text = to_csv(&Timeline {
            seconds: vec![second],
        });
        assert_eq!(text.lines().nth(1), Some("7,,12,0,0,0,0,,,,,,"));
    }
}
