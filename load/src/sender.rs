//! A sender: one connection that sends one request at a time, with retries until it succeeds or fails.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::attempt_error::AttemptError;
use crate::breaker::Verdict;
use crate::connection::{CallError, Connection, HttpResponse};
use crate::gate::Gate;
use crate::idle_timeout::IdleTimeout;
use crate::judge::{RideVerdict, judge_bulk, judge_read, judge_ride};
use crate::measure::{Finished, Measure};
use crate::outcome_log::{OutcomeLog, RideOutcome};
use crate::pace::Pace;
use crate::path;
use crate::plan::MAX_CONNECTIONS;
use crate::retry::Pauses;
use crate::summary::Rides;
use crate::workload::{ReadRequest, Work, Workload};

/// Shared state of all senders of a run.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) workload: Workload,
    pub(crate) pace: Pace,
    /// Number of requests taken by senders so far.
    pub(crate) taken: AtomicU64,
    /// Number of requests of the run.
    pub(crate) total: u64,
    /// Time after the start from which on no new request is sent.
    pub(crate) deadline: Option<Duration>,
    pub(crate) measure: Measure,
    pub(crate) gate: Option<Gate>,
    pub(crate) outcomes: Option<OutcomeLog>,
    /// Cancelled to stop all requests and retries.
    pub(crate) stop: CancellationToken,
    /// Attempts without a response.
    pub(crate) idle_timeout: IdleTimeout,
    /// A permit wakes a reserve sender; an open loop uses as few connections as suffice, because every connection costs both
    /// sides.
    pub(crate) reserve: Semaphore,
}

/// Lateness of a taken request from which on another sender is woken.
const TOO_LATE: Duration = Duration::from_millis(1);
/// How late the timer of this client may be, which is no latency of the target: it counts whole milliseconds, rounded up, and then
/// waits for a processor.
const TIMER: Duration = Duration::from_millis(2);
/// How much earlier than a request is due its sender wakes: by the mean of what the timer rounds up.
const EARLY: Duration = Duration::from_millis(1);

impl Shared {
    /// Wakes one reserve sender per late request without a sender, because waiting senders cannot detect late
    /// requests.
    pub(crate) fn wake_for_late(&self, now: Duration) {
        let Pace::Open(profile) = &self.pace else {
            return;
        };
        let due = profile
            .due_before(now.saturating_sub(TOO_LATE))
            .min(self.total);
        let late = due.saturating_sub(self.taken.load(Ordering::Relaxed)) as usize;
        // Senders that were woken but have not taken their request yet.
        let waking = self.reserve.available_permits();
        let more = late.min(MAX_CONNECTIONS).saturating_sub(waking);
        if more > 0 {
            self.reserve.add_permits(more);
        }
    }
}

/// One sender.
#[derive(Debug)]
pub(crate) struct Sender {
    connection: Connection,
    shared: Arc<Shared>,
    start: Instant,
    pauses: Pauses,
    /// The current request.
    current: Option<Finished>,
}

/// No further request may be sent.
struct Over;

/// A request that is to be sent now.
struct Taken {
    work: Work,
    /// Its intended send time, plus the time in which the breaker throttled it; none in a closed loop.
    due: Option<Duration>,
    /// See [`Finished::timer`].
    timer: Duration,
}

impl Sender {
    /// A sender with a connection; times are relative to `start`.
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>, start: Instant) -> Self {
        Self {
            connection,
            shared,
            start,
            pauses: Pauses::new(),
            current: None,
        }
    }

    /// Waits until it is needed, then sends like the other senders.
    pub(crate) async fn run_when_needed(self, abandon: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        // Closed when there are no more requests.
        if let Ok(woken) = shared.reserve.acquire().await {
            woken.forget();
            self.run(abandon).await;
        }
    }

    /// Sends requests until there are no more; requests in flight at `abandon` are aborted.
    pub(crate) async fn run(mut self, abandon: CancellationToken) {
        tokio::select! {
            _ = self.send_all() => {}
            () = abandon.cancelled() => {}
        }
        self.shared.reserve.close();
        if let Some(mut abandoned) = self.current.take() {
            self.shared
                .measure
                .record_error(AttemptError::Abandoned, || {
                    "no response when the run ended; its rides may or may not be stored".to_owned()
                });
            // A ride is unknown as soon as it is sent.
            let Rides {
                sent,
                accepted,
                refused,
                ..
            } = abandoned.rides;
            abandoned.rides.unknown = sent.saturating_sub(accepted + refused);
            abandoned.ended = self.now();
            self.shared.measure.finish(&abandoned);
        }
    }

    async fn send_all(&mut self) -> Over {
        while let Ok(Taken { work, due, timer }) = self.take().await {
            let sent = self.now();
            self.pauses = Pauses::new();
            self.current = Some(Finished {
                due,
                timer,
                sent,
                is_read: matches!(work, Work::Read(_)),
                ..Finished::default()
            });
            let succeeded = match work {
                Work::Ride(number) => self.post_ride(number).await,
                Work::Bulk(numbers) => self.post_rides(numbers).await,
                Work::Read(read_request) => self.read(&read_request).await,
            };
            if let Some(mut finished) = self.current.take() {
                finished.succeeded = succeeded;
                finished.ended = self.now();
                self.shared.measure.finish(&finished);
            }
        }
        Over
    }

    /// Waits until the next request may be sent.
    async fn take(&self) -> Result<Taken, Over> {
        let shared = &self.shared;
        if shared.stop.is_cancelled() || shared.deadline.is_some_and(|end| self.now() >= end) {
            return Err(Over);
        }
        let number = shared.taken.fetch_add(1, Ordering::Relaxed);
        if number >= shared.total {
            return Err(Over);
        }
        let work = shared.workload.work(number).ok_or(Over)?;
        let mut timer = Duration::ZERO;
        let due = match &shared.pace {
            Pace::Closed => None,
            Pace::Open(profile) => {
                let due = profile.due(number);
                if self.now().saturating_sub(due) > TOO_LATE {
                    // Permits beyond the reserve have no effect.
                    shared.reserve.add_permits(1);
                }
                if self.wait_until(due.saturating_sub(EARLY)).await? {
                    timer = self.now().saturating_sub(due).min(TIMER);
                }
                Some(due)
            }
        };
        let Some(gate) = &shared.gate else {
            return Ok(Taken { work, due, timer });
        };
        let events = match &work {
            Work::Bulk(numbers) => numbers.end - numbers.start,
            Work::Ride(_) | Work::Read(_) => 1,
        };
        while let Verdict::Refused { ask_again_at } = gate.ask(self.now(), events) {
            shared.measure.hold_back(self.now());
            self.wait_until(ask_again_at).await?;
            if shared.deadline.is_some_and(|end| self.now() >= end) {
                return Err(Over);
            }
        }
        let held_back = |due| gate.open_between(due, self.now());
        let due = due.map(|due| due + held_back(due));
        Ok(Taken { work, due, timer })
    }

    async fn post_ride(&mut self, number: u64) -> bool {
        let ride = self.shared.workload.ride(number);
        let path = path::skier_day(ride.resort_day(), ride.skier);
        let body = path::ride_body(&ride);
        self.set_outcome(number..number + 1, RideOutcome::Unknown);
        self.current.get_or_insert_default().rides.sent = 1;
        let mut has_left = false;
        // Whether an attempt may have stored the ride.
        let mut may_be_there = false;
        let is_accepted = loop {
            let answer = self
                .connection
                .post(&path, "application/json", body.clone())
                .await;
            has_left |= answer
                .as_ref()
                .map_or_else(CallError::may_have_arrived, |_| true);
            may_be_there |= answer
                .as_ref()
                .map_or_else(CallError::may_have_arrived, |answer| {
                    judge_ride(answer) != RideVerdict::Refused
                });
            let again = match &answer {
                Ok(answer) => match judge_ride(answer) {
                    RideVerdict::Accepted => {
                        self.record_response();
                        break true;
                    }
                    RideVerdict::Again => true,
                    RideVerdict::Refused | RideVerdict::Unclear => false,
                },
                Err(error) => error.is_retryable(),
            };
            self.report(&answer);
            if !again || !self.pause(&answer).await {
                break false;
            }
        };
        let outcome = match (is_accepted, may_be_there) {
            (true, _) => RideOutcome::Accepted,
            (false, true) => RideOutcome::Unknown,
            (false, false) => RideOutcome::Absent,
        };
        self.set_outcome(number..number + 1, outcome);
        let rides = &mut self.current.get_or_insert_default().rides;
        rides.sent = u64::from(has_left);
        match outcome {
            RideOutcome::Accepted => rides.accepted = 1,
            RideOutcome::Unknown => rides.unknown = 1,
            RideOutcome::Absent => rides.refused = rides.sent,
        }
        is_accepted
    }

    async fn post_rides(&mut self, numbers: Range<u64>) -> bool {
        let rides = numbers.end - numbers.start;
        self.set_outcome(numbers.clone(), RideOutcome::Unknown);
        self.current.get_or_insert_default().rides.sent = rides;
        let mut left = numbers;
        let mut has_left = false;
        let mut may_be_there = false;
        loop {
            let body = self.body(&left);
            let answer = self
                .connection
                .post(path::BULK, "application/x-ndjson", body)
                .await;
            has_left |= answer
                .as_ref()
                .map_or_else(CallError::may_have_arrived, |_| true);
            let again = match &answer {
                Ok(answer) => {
                    self.record_response();
                    let verdict = judge_bulk(answer, &left);
                    if let Some((error, text)) = verdict.error {
                        self.shared.measure.record_error(error, || text);
                    }
                    self.settle(&verdict.accepted, RideOutcome::Accepted);
                    // Rides of an unclear attempt stay unknown, even if a later attempt is rejected.
                    if !may_be_there {
                        self.settle(&verdict.refused, RideOutcome::Absent);
                    }
                    may_be_there |= !verdict.rest.is_empty() && answer.status >= 500;
                    left = verdict.rest;
                    (500..=599).contains(&answer.status)
                }
                Err(error) => {
                    may_be_there |= error.may_have_arrived();
                    self.report(&answer);
                    error.is_retryable()
                }
            };
            if left.is_empty() || !again || !self.pause(&answer).await {
                break;
            }
        }
        if !has_left {
            self.set_outcome(left, RideOutcome::Absent);
            self.current.get_or_insert_default().rides.sent = 0;
            return false;
        }
        if !left.is_empty() && !may_be_there {
            self.settle(&[left], RideOutcome::Absent);
        }
        let rides = &mut self.current.get_or_insert_default().rides;
        rides.unknown = rides.sent - rides.accepted - rides.refused;
        rides.unknown == 0 && rides.accepted > 0
    }

    fn body(&self, numbers: &Range<u64>) -> bytes::Bytes {
        let mut body = String::new();
        for number in numbers.clone() {
            path::push_line(&mut body, &self.shared.workload.ride(number));
        }
        body.into()
    }

    fn settle(&mut self, settled: &[Range<u64>], outcome: RideOutcome) {
        for numbers in settled {
            self.set_outcome(numbers.clone(), outcome);
            let count = numbers.end - numbers.start;
            let rides = &mut self.current.get_or_insert_default().rides;
            if outcome == RideOutcome::Accepted {
                rides.accepted += count;
            } else {
                rides.refused += count;
            }
        }
    }

    async fn read(&mut self, read_request: &ReadRequest) -> bool {
        let path = match read_request {
            ReadRequest::DayVertical(ride) => path::skier_day(ride.resort_day(), ride.skier),
            ReadRequest::SeasonVertical(ride) => {
                path::season_vertical(ride.skier, ride.resort, ride.season)
            }
            ReadRequest::ResortDaySkiers(ride) => path::resort_day_skiers(ride.resort_day()),
        };
        loop {
            let answer = self.connection.get(&path).await;
            let again = match &answer {
                Ok(answer) => {
                    let Err(error) = judge_read(read_request, answer) else {
                        self.record_response();
                        return true;
                    };
                    self.record_response();
                    self.shared.measure.record_error(error, || answer.message());
                    (500..=599).contains(&answer.status)
                }
                Err(error) => {
                    self.report(&answer);
                    error.is_retryable()
                }
            };
            if !again || !self.pause(&answer).await {
                return false;
            }
        }
    }

    /// Counts a failed attempt.
    fn report(&self, answer: &Result<HttpResponse, CallError>) {
        match answer {
            Ok(answer) => {
                self.record_response();
                self.shared
                    .measure
                    .record_error(AttemptError::Status(answer.status), || answer.message());
            }
            Err(error) => {
                self.shared.idle_timeout.failed(self.now());
                self.shared
                    .measure
                    .record_error(AttemptError::of(error), || {
                        skilift_core::lifecycle::chain(error)
                    });
            }
        }
    }

    /// Records a response of the target.
    fn record_response(&self) {
        self.shared.idle_timeout.record_response();
    }

    /// Waits before a retry; false if there is none.
    async fn pause(&mut self, answer: &Result<HttpResponse, CallError>) -> bool {
        let wish = answer.as_ref().ok().and_then(|answer| answer.retry_after);
        let Some(pause) = self.pauses.next(wish) else {
            return false;
        };
        if self.wait_until(self.now() + pause).await.is_err() {
            return false;
        }
        self.shared.measure.retry(self.now());
        true
    }

    /// Waits until a time after the start, or until the run is stopped. Returns whether it had to wait.
    async fn wait_until(&self, at: Duration) -> Result<bool, Over> {
        if at <= self.now() {
            return Ok(false);
        }
        tokio::select! {
            () = tokio::time::sleep_until((self.start + at).into()) => Ok(true),
            () = self.shared.stop.cancelled() => Err(Over),
        }
    }

    fn set_outcome(&self, numbers: Range<u64>, outcome: RideOutcome) {
        if let Some(outcomes) = &self.shared.outcomes {
            for number in numbers {
                outcomes.set(number, outcome);
            }
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}
