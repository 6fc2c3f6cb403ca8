//! Timelines like those of real runs, the same each time.

use std::time::Duration;

use skilift_load::report::{Breaker, Run};
use skilift_load::timeline::{Quantiles, Second, Timeline};

/// What a report is written from.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    pub(crate) timeline: Timeline,
}

/// Numbers that look random, 0 to 1 (Knuth's multiplicative generator).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }

    /// Around a value, by a share of it.
    fn around(&mut self, value: f64, share: f64) -> f64 {
        let value = value * (1.0 + share * (self.next() + self.next() - 1.0));
        // To the microsecond, as clocks give it.
        (value * 1_000.0).round() / 1_000.0
    }

    fn latency(&mut self, median_ms: f64) -> Option<Quantiles> {
        let p50_ms = self.around(median_ms, 0.1);
        let p95_ms = self.around(p50_ms * 2.2, 0.15);
        let p99_ms = self.around(p95_ms * 1.7, 0.25);
        let peak = if self.next() > 0.9 { 6.0 } else { 1.0 };
        let max_ms = self.around(p99_ms * 1.6 * peak, 0.3).max(p99_ms);
        Some(Quantiles {
            p50_ms,
            p95_ms,
            p99_ms,
            max_ms,
        })
    }
}

fn sample(
    name: &'static str,
    caption: &str,
    elapsed_s: f64,
    breaker: Option<u64>,
    seconds: Vec<Second>,
) -> Sample {
    let breaker = breaker.map(|open| Breaker {
        open,
        close: open - 500,
        interval: Duration::from_secs(1),
        bulk: false,
    });
    let run = Run {
        caption: caption.into(),
        verdict: "OK".to_owned(),
        text: "1 < 2".to_owned(),
        elapsed: Duration::from_secs_f64(elapsed_s),
        breaker,
    };
    Sample {
        name,
        run,
        timeline: Timeline { seconds },
    }
}

/// 200,000 rides by 64 threads, with a breaker that opens now and then.
pub(crate) fn closed_loop() -> Sample {
    let mut noise = Noise(7);
    let second = |at_s: u32| {
        let tripped = at_s > 4 && at_s % 6 < 2;
        let share = if tripped {
            noise.around(0.7, 0.4).min(1.0)
        } else {
            0.0
        };
        let sent = noise.around(4_000.0, 0.05) * (1.0 - 0.8 * share);
        let sent = if at_s == 53 { 1_210.0 } else { sent } as u64;
        Second {
            at_s,
            sent,
            succeeded: sent,
            retried: if at_s == 31 { 44 } else { 0 },
            held_back: (share * 64.0) as u64,
            breaker_open_share: Some(share),
            latency: noise.latency(14.0),
            backlog_rides: Some(noise.around(900.0 + 30.0 * f64::from(at_s), 0.3).round()),
            ..Second::default()
        }
    };
    let seconds = (0..54).map(second).collect();
    sample(
        "closed-loop",
        "200,000 rides, 64 threads, breaker 3,800/3,300, RabbitMQ and Redis",
        53.31,
        Some(3_800),
        seconds,
    )
}

/// A rate that steps up and down again, against a server that is killed at 90 s and is back at 108 s.
pub(crate) fn open_loop() -> Sample {
    let mut noise = Noise(11);
    let second = |at_s: u32| {
        let intended = if (60..120).contains(&at_s) {
            5_000
        } else {
            500
        };
        let down = (90..108).contains(&at_s);
        let catching_up = (108..114).contains(&at_s);
        let sent = if down { intended / 10 } else { intended };
        let factor = if catching_up {
            40.0
        } else if intended > 500 {
            3.0
        } else {
            1.0
        };
        Second {
            at_s,
            intended: Some(intended),
            sent: if catching_up { 9_000 } else { sent },
            succeeded: if down {
                0
            } else if catching_up {
                8_900
            } else {
                noise.around(sent as f64, 0.01) as u64
            },
            failed: if at_s == 95 { 310 } else { 0 },
            retried: if down {
                noise.around(2_500.0, 0.3) as u64
            } else {
                0
            },
            latency: if down {
                None
            } else {
                noise.latency(1.2 * factor)
            },
            ..Second::default()
        }
    };
    sample(
        "open-loop",
        "0s:500,60s:5000,120s:500, open loop, the server was killed at 90 s",
        180.0,
        None,
        (0..180).map(second).collect(),
    )
}

/// Ten hours with a lunch dip and a handful of failures.
pub(crate) fn ten_hours() -> Sample {
    let mut noise = Noise(13);
    let second = |at_s: u32| {
        let lunch = 1.0 - 0.5 * (-((f64::from(at_s) - 14_400.0) / 2_500.0).powi(2)).exp();
        let sent = noise.around(2_000.0 * lunch, 0.3) as u64;
        Second {
            at_s,
            intended: Some((2_000.0 * lunch) as u64),
            sent,
            succeeded: sent,
            failed: if at_s == 20_000 { 40 } else { 0 },
            retried: if noise.next() > 0.999 { 12 } else { 0 },
            latency: noise.latency(2.0 / lunch),
            backlog_rides: if (9_000..10_000).contains(&at_s) {
                None
            } else {
                Some(noise.around(5_000.0, 0.8))
            },
            ..Second::default()
        }
    };
    sample(
        "ten-hours",
        "a ski day in real time, 2,000 rides per second",
        36_000.0,
        None,
        (0..36_000).map(second).collect(),
    )
}

/// Runs that hardly happened, and values that hardly occur.
pub(crate) fn oddities() -> Vec<Sample> {
    let with = |seconds: u32, second: Second| {
        (0..seconds)
            .map(|at_s| Second {
                at_s,
                ..second.clone()
            })
            .collect()
    };
    let even = Quantiles {
        p50_ms: 5.0,
        p95_ms: 5.0,
        p99_ms: 5.0,
        max_ms: 5.0,
    };
    let busy = Second {
        sent: 1_000,
        succeeded: 1_000,
        latency: Some(even),
        ..Second::default()
    };
    let no_number = Quantiles {
        p50_ms: f64::NAN,
        p95_ms: f64::INFINITY,
        p99_ms: 1e-320,
        max_ms: f64::MAX,
    };
    let huge = Second {
        intended: Some(u64::MAX),
        sent: u64::MAX,
        succeeded: u64::MAX,
        failed: u64::MAX,
        held_back: 1,
        breaker_open_share: Some(f64::NAN),
        latency: Some(no_number),
        backlog_rides: Some(f64::MIN),
        ..Second::default()
    };
    vec![
        sample("no-second", "refused at once", 0.0, None, Vec::new()),
        sample(
            "one-second",
            "over at once",
            0.4,
            Some(800),
            with(1, busy.clone()),
        ),
        sample(
            "two-seconds",
            "hardly more",
            1.2,
            None,
            with(2, busy.clone()),
        ),
        sample(
            "all-equal",
            "the same every second",
            30.0,
            None,
            with(30, busy),
        ),
        sample(
            "nothing-known",
            "a server that never answered",
            20.0,
            Some(800),
            with(20, Second::default()),
        ),
        sample(
            "huge",
            "<b>& \"marked\" 'up'</b> \u{1} ]]> 数字",
            25.0,
            Some(u64::MAX),
            with(25, huge),
        ),
    ]
}

pub(crate) fn all() -> Vec<Sample> {
    let mut samples = vec![closed_loop(), open_loop(), ten_hours()];
    samples.extend(oddities());
    samples
}
