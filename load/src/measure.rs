//! Measurements of a run: totals, latencies, and the seconds of the timeline.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::attempt_error::AttemptError;
use crate::summary::{ErrorGroup, Latency, Requests, Rides};
use crate::timeline::{Quantiles, Second};

/// Maximum recorded duration.
const LONGEST: Duration = Duration::from_secs(3600);
/// Number of recent seconds that can still receive latencies; a request is counted when it ends, so delays are small.
const SECONDS_OPEN: usize = 2;
/// Maximum length of an error example, in characters.
const EXAMPLE: usize = 200;

/// One finished request; times are relative to the start of the run.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// Intended send time, plus the time in which the breaker throttled it; none in a closed loop.
    pub(crate) due: Option<Duration>,
    /// How much later than intended the timer of this client woke a sender that was waiting for it.
    pub(crate) timer: Duration,
    /// Send time of its first attempt.
    pub(crate) sent: Duration,
    /// Arrival time of its last response.
    pub(crate) ended: Duration,
    pub(crate) succeeded: bool,
    pub(crate) is_read: bool,
    pub(crate) rides: Rides,
}

/// The counters of a run, with one lock per request that is held for less than a microsecond.
#[derive(Debug)]
pub(crate) struct Measure(Mutex<Counts>);

/// See [`Measure`].
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) requests: Requests,
    pub(crate) rides: Rides,
    /// Requests that were sent before the clock started.
    pub(crate) ahead: u64,
    /// Time of the last response, relative to the start of the run.
    pub(crate) last_end: Duration,
    /// Of posts and of reads.
    latency: [Histogram<u64>; 2],
    from_send: Histogram<u64>,
    lateness: Histogram<u64>,
    errors: HashMap<AttemptError, (u64, String)>,
    seconds: Vec<Second>,
    /// Latencies of the last seconds, newest at the end.
    recent: VecDeque<Histogram<u64>>,
    /// The second of the first element of `recent`.
    first_recent: usize,
}

impl Measure {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Counts {
            requests: Requests::default(),
            rides: Rides::default(),
            ahead: 0,
            last_end: Duration::ZERO,
            latency: [histogram(), histogram()],
            from_send: histogram(),
            lateness: histogram(),
            errors: HashMap::new(),
            seconds: Vec::new(),
            recent: VecDeque::new(),
            first_recent: 0,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn finish(&self, finished: &Finished) {
        self.lock().finish(finished);
    }

    /// Counts a failed attempt.
    pub(crate) fn record_error(&self, error: AttemptError, example: impl FnOnce() -> String) {
        let mut counts = self.lock();
        let group = counts.errors.entry(error);
        group.or_insert_with(|| (0, shorten(&example()))).0 += 1;
    }

    pub(crate) fn retry(&self, at: Duration) {
        let mut counts = self.lock();
        counts.requests.retried += 1;
        counts.second(at).retried += 1;
    }

    pub(crate) fn hold_back(&self, at: Duration) {
        let mut counts = self.lock();
        counts.requests.held_back += 1;
        counts.second(at).held_back += 1;
    }

    /// Records the backlog of the server.
    pub(crate) fn backlog(&self, at: Duration, rides: f64) {
        self.lock().second(at).backlog_rides = Some(rides);
    }
}

impl Counts {
    fn finish(&mut self, finished: &Finished) {
        let ended = finished.ended;
        self.last_end = self.last_end.max(ended);
        self.count_rides(&finished.rides);
        let begun = finished.sent;
        self.requests.sent += 1;
        self.requests.reads += u64::from(finished.is_read);
        self.second(begun).sent += 1;
        if let Some(due) = finished.due {
            record(&mut self.lateness, begun.saturating_sub(due));
        }
        if !finished.succeeded {
            self.requests.failed += 1;
            self.second(ended).failed += 1;
            return;
        }
        self.requests.succeeded += 1;
        self.second(ended).succeeded += 1;
        let intended = finished
            .due
            .map_or(begun, |due| (due + finished.timer).min(begun));
        let took = ended.saturating_sub(intended);
        record(&mut self.latency[usize::from(finished.is_read)], took);
        record(&mut self.from_send, ended.saturating_sub(begun));
        let newest = self.first_recent + self.recent.len() - 1;
        let second = (ended.as_secs() as usize).clamp(self.first_recent, newest);
        record(&mut self.recent[second - self.first_recent], took);
    }

    pub(crate) fn count_rides(&mut self, rides: &Rides) {
        let Rides {
            sent,
            accepted,
            refused,
            unknown,
        } = *rides;
        self.rides.sent += sent;
        self.rides.accepted += accepted;
        self.rides.refused += refused;
        self.rides.unknown += unknown;
    }

    /// The second of a moment; also creates all earlier seconds.
    fn second(&mut self, at: Duration) -> &mut Second {
        let index = at.as_secs() as usize;
        while self.seconds.len() <= index {
            let at_s = u32::try_from(self.seconds.len()).unwrap_or(u32::MAX);
            self.seconds.push(Second {
                at_s,
                ..Second::default()
            });
            self.recent.push_back(histogram());
            if self.recent.len() > SECONDS_OPEN {
                self.close_second();
            }
        }
        &mut self.seconds[index]
    }

    fn close_second(&mut self) {
        if let Some(latencies) = self.recent.pop_front() {
            self.seconds[self.first_recent].latency = quantiles(&latencies);
            self.first_recent += 1;
        }
    }

    /// The seconds of the run so far, from 0 without gaps, with their latencies.
    pub(crate) fn close(&mut self, elapsed: Duration) -> Vec<Second> {
        if let Some(last) = elapsed.checked_sub(Duration::from_nanos(1)) {
            self.second(last);
        }
        while !self.recent.is_empty() {
            self.close_second();
        }
        std::mem::take(&mut self.seconds)
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        let [posts, reads] = &self.latency;
        let mut all = posts.clone();
        all.add(reads).expect("both have the same range");
        shape(&all)
    }

    pub(crate) fn latency_of_posts(&self) -> Option<Latency> {
        shape(&self.latency[0])
    }

    pub(crate) fn latency_of_reads(&self) -> Option<Latency> {
        shape(&self.latency[1])
    }

    pub(crate) fn latency_from_send(&self) -> Option<Latency> {
        shape(&self.from_send)
    }

    pub(crate) fn send_lateness(&self) -> Option<Latency> {
        shape(&self.lateness)
    }

    /// The kinds of errors, most frequent first.
    pub(crate) fn errors(&self) -> Vec<ErrorGroup> {
        let mut groups: Vec<_> = self.errors.iter().collect();
        groups.sort_by_key(|(error, (count, _))| (std::cmp::Reverse(*count), **error));
        let group = |(error, (count, example)): (&AttemptError, &(u64, String))| ErrorGroup {
            kind: error.to_string(),
            count: *count,
            example: example.clone(),
        };
        groups.into_iter().map(group).collect()
    }
}

/// Microseconds, to three digits.
fn histogram() -> Histogram<u64> {
    let longest = LONGEST.as_micros() as u64;
    // These bounds are valid; the other constructor would only grow where this one need not.
    Histogram::new_with_bounds(1, longest, 3).unwrap_or_else(|_| unreachable!("valid bounds"))
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn shape(histogram: &Histogram<u64>) -> Option<Latency> {
    (!histogram.is_empty()).then(|| Latency {
        mean_ms: (histogram.mean()).round() / 1000.0,
        min_ms: ms(histogram.min()),
        p50_ms: ms(histogram.value_at_quantile(0.5)),
        p95_ms: ms(histogram.value_at_quantile(0.95)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        p999_ms: ms(histogram.value_at_quantile(0.999)),
        max_ms: ms(histogram.max()),
    })
}

fn quantiles(histogram: &Histogram<u64>) -> Option<Quantiles> {
    shape(histogram).map(|shape| Quantiles {
        p50_ms: shape.p50_ms,
        p95_ms: shape.p95_ms,
        p99_ms: shape.p99_ms,
        max_ms: shape.max_ms,
    })
}

/// The start of the first line, without control characters.
fn shorten(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let visible = line.chars().filter(|character| !character.is_control());
    let mut short: String = visible.take(EXAMPLE).collect();
    if line.chars().count() > EXAMPLE {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn latency_runs_from_the_intended_start_and_the_raw_one_from_the_send() {
        let measure = Measure::new();
        measure.finish(&Finished {
            due: Some(ms(100)),
            sent: ms(1100),
            ended: ms(1110),
            succeeded: true,
            ..Finished::default()
        });
        let counts = measure.lock();
        assert_eq!(counts.latency().unwrap().p50_ms.round(), 1010.0);
        assert_eq!(counts.latency_from_send().unwrap().p50_ms.round(), 10.0);
        assert_eq!(counts.send_lateness().unwrap().p50_ms.round(), 1000.0);
    }

    #[test]
    fn the_clients_own_timer_is_no_latency_but_the_wait_for_a_connection_is() {
        let measure = Measure::new();
        let request = |timer, is_read| Finished {
            due: Some(ms(100)),
            timer: ms(timer),
            sent: ms(101),
            ended: ms(104),
            succeeded: true,
            is_read,
            ..Finished::default()
        };
        measure.finish(&request(1, false));
        measure.finish(&request(0, true));
        let counts = measure.lock();
        let median = |of: Option<Latency>| of.unwrap().p50_ms.round() as u64;
        assert_eq!(median(counts.latency_of_posts()), 3);
        assert_eq!(median(counts.latency_of_reads()), 4);
        assert_eq!(median(counts.send_lateness()), 1);
        assert_eq!(counts.latency().unwrap().max_ms.round() as u64, 4);
    }

    #[test]
    fn a_request_counts_in_the_second_in_which_it_ended() {
        let measure = Measure::new();
        let request = |sent, ended, succeeded| Finished {
            sent: ms(sent),
            ended: ms(ended),
            succeeded,
            ..Finished::default()
        };
        measure.finish(&request(900, 4100, true));
        measure.finish(&request(950, 980, true));
        measure.finish(&request(4000, 4200, false));
        measure.retry(ms(2500));
        let mut counts = measure.lock();
        let seconds = counts.close(ms(4200));
        let counted: Vec<_> = seconds
            .iter()
            .map(|second| {
                (
                    second.at_s,
                    second.sent,
                    second.succeeded,
                    second.failed,
                    second.retried,
                )
            })
            .collect();
        assert_eq!(
            counted,
            [
                (0, 2, 1, 0, 0),
                (1, 0, 0, 0, 0),
                (2, 0, 0, 0, 1),
                (3, 0, 0, 0, 0),
                (4, 1, 1, 1, 0)
            ]
        );
        let latency = seconds[4].latency.unwrap();
        assert_eq!(latency.max_ms.round() as u64 / 10, 320);
        assert_eq!(seconds[1].latency, None);
    }

    #[test]
    fn errors_are_grouped_with_an_example() {
        let measure = Measure::new();
        for number in 0..3 {
            measure.record_error(AttemptError::Status(503), || {
                format!("busy {number}\nand more")
            });
        }
        measure.record_error(AttemptError::TimedOut, || "x".repeat(500));
        let errors = measure.lock().errors();
        assert_eq!(
            (errors[0].kind.as_str(), errors[0].count),
            ("status 503", 3)
        );
        assert_eq!(errors[0].example, "busy 0");
        assert_eq!(errors[1].example.len(), EXAMPLE + 3);
    }
}
