//! A sender: one connection that sends one request at a time, and follows each until it succeeded or is given up.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::breaker::Verdict;
use crate::connection::{Answer, CallError, Connection};
use crate::fates::{Fate, Fates};
use crate::gate::Gate;
use crate::judge::{RideVerdict, judge_bulk, judge_question, judge_ride};
use crate::measure::{Finished, Measure};
use crate::pace::Pace;
use crate::path;
use crate::plan::MOST_CONNECTIONS;
use crate::retry::Pauses;
use crate::silence::Silence;
use crate::summary::Rides;
use crate::trouble::Trouble;
use crate::workload::{Question, Work, Workload};

/// What all senders of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) workload: Workload,
    pub(crate) pace: Pace,
    /// Requests that senders have taken so far.
    pub(crate) taken: AtomicU64,
    /// Requests that the run has.
    pub(crate) total: u64,
    /// From when on nothing new is sent, since the start.
    pub(crate) deadline: Option<Duration>,
    pub(crate) measure: Measure,
    pub(crate) gate: Option<Gate>,
    pub(crate) fates: Option<Fates>,
    /// No more requests, no more tries.
    pub(crate) stop: CancellationToken,
    /// Tries that get no answer.
    pub(crate) silence: Silence,
    /// A permit wakes a sender of the reserve. An open loop uses as few connections as do: each of many costs both sides
    /// more than one of few.
    pub(crate) reserve: Semaphore,
}

/// How late a request is when it is taken, from which on another sender is woken.
const TOO_LATE: Duration = Duration::from_millis(1);

impl Shared {
    /// Wakes as many senders of the reserve as requests are late that nobody has taken: while every sender waits for its
    /// answer, none of them notices.
    pub(crate) fn wake_for_late(&self, now: Duration) {
        let Pace::Open(profile) = &self.pace else {
            return;
        };
        let due = profile
            .due_before(now.saturating_sub(TOO_LATE))
            .min(self.total);
        let late = due.saturating_sub(self.taken.load(Ordering::Relaxed)) as usize;
        // Those that were woken and have not taken their request yet.
        let waking = self.reserve.available_permits();
        let more = late.min(MOST_CONNECTIONS).saturating_sub(waking);
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
    /// The request that is under way.
    current: Option<Finished>,
}

/// No further request is to be sent.
struct Over;

impl Sender {
    /// A sender with a connection; times are counted from `start`.
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>, start: Instant) -> Self {
        Self {
            connection,
            shared,
            start,
            pauses: Pauses::new(),
            current: None,
        }
    }

    /// Waits until the senders so far are too few, and sends then like one of them.
    pub(crate) async fn run_when_needed(self, abandon: CancellationToken) {
        let shared = Arc::clone(&self.shared);
        // It is closed when there is nothing more to send.
        if let Ok(woken) = shared.reserve.acquire().await {
            woken.forget();
            self.run(abandon).await;
        }
    }

    /// Sends requests until there are no more to send; those under way at `abandon` are given up.
    pub(crate) async fn run(mut self, abandon: CancellationToken) {
        tokio::select! {
            _ = self.send_all() => {}
            () = abandon.cancelled() => {}
        }
        self.shared.reserve.close();
        if let Some(mut abandoned) = self.current.take() {
            self.shared.measure.trouble(Trouble::Abandoned, || {
                "no answer when the run was ended; its rides may be there or not".to_owned()
            });
            // A ride is unknown from the moment on in which it leaves.
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
        while let Ok((work, due)) = self.take().await {
            let sent = self.now();
            self.pauses = Pauses::new();
            self.current = Some(Finished {
                due,
                sent,
                is_read: matches!(work, Work::Read(_)),
                ..Finished::default()
            });
            let succeeded = match work {
                Work::Ride(number) => self.post_ride(number).await,
                Work::Bulk(numbers) => self.post_rides(numbers).await,
                Work::Read(question) => self.ask(&question).await,
            };
            if let Some(mut finished) = self.current.take() {
                finished.succeeded = succeeded;
                finished.ended = self.now();
                self.shared.measure.finish(&finished);
            }
        }
        Over
    }

    /// Waits until the next request may be sent, and says since when it was due, the time added in which the breaker held
    /// it back.
    async fn take(&self) -> Result<(Work, Option<Duration>), Over> {
        let shared = &self.shared;
        if shared.stop.is_cancelled() || shared.deadline.is_some_and(|end| self.now() >= end) {
            return Err(Over);
        }
        let number = shared.taken.fetch_add(1, Ordering::Relaxed);
        if number >= shared.total {
            return Err(Over);
        }
        let work = shared.workload.work(number).ok_or(Over)?;
        let due = match &shared.pace {
            Pace::Closed => None,
            Pace::Open(profile) => {
                let due = profile.due(number);
                if self.now().saturating_sub(due) > TOO_LATE {
                    // Permits beyond the reserve wake nobody.
                    shared.reserve.add_permits(1);
                }
                self.wait_until(due).await?;
                Some(due)
            }
        };
        let Some(gate) = &shared.gate else {
            return Ok((work, due));
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
        Ok((work, due.map(|due| due + held_back(due))))
    }

    async fn post_ride(&mut self, number: u64) -> bool {
        let ride = self.shared.workload.ride(number);
        let path = path::skier_day(ride.resort_day(), ride.skier);
        let body = path::ride_body(&ride);
        self.set_fate(number..number + 1, Fate::Unknown);
        self.current.get_or_insert_default().rides.sent = 1;
        let mut has_left = false;
        // Whether a try may have left the ride there.
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
                        self.heard();
                        break true;
                    }
                    RideVerdict::Again => true,
                    RideVerdict::Refused | RideVerdict::Unclear => false,
                },
                Err(error) => error.is_connection_trouble(),
            };
            self.report(&answer);
            if !again || !self.pause(&answer).await {
                break false;
            }
        };
        let fate = match (is_accepted, may_be_there) {
            (true, _) => Fate::Accepted,
            (false, true) => Fate::Unknown,
            (false, false) => Fate::Absent,
        };
        self.set_fate(number..number + 1, fate);
        let rides = &mut self.current.get_or_insert_default().rides;
        rides.sent = u64::from(has_left);
        match fate {
            Fate::Accepted => rides.accepted = 1,
            Fate::Unknown => rides.unknown = 1,
            Fate::Absent => rides.refused = rides.sent,
        }
        is_accepted
    }

    async fn post_rides(&mut self, numbers: Range<u64>) -> bool {
        let rides = numbers.end - numbers.start;
        self.set_fate(numbers.clone(), Fate::Unknown);
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
                    self.heard();
                    let verdict = judge_bulk(answer, &left);
                    if let Some((trouble, text)) = verdict.trouble {
                        self.shared.measure.trouble(trouble, || text);
                    }
                    self.settle(&verdict.accepted, Fate::Accepted);
                    // What an unclear try may have stored stays unknown, whatever a later one refuses.
                    if !may_be_there {
                        self.settle(&verdict.refused, Fate::Absent);
                    }
                    may_be_there |= !verdict.rest.is_empty() && answer.status >= 500;
                    left = verdict.rest;
                    (500..=599).contains(&answer.status)
                }
                Err(error) => {
                    may_be_there |= error.may_have_arrived();
                    self.report(&answer);
                    error.is_connection_trouble()
                }
            };
            if left.is_empty() || !again || !self.pause(&answer).await {
                break;
            }
        }
        if !has_left {
            self.set_fate(left, Fate::Absent);
            self.current.get_or_insert_default().rides.sent = 0;
            return false;
        }
        if !left.is_empty() && !may_be_there {
            self.settle(&[left], Fate::Absent);
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

    fn settle(&mut self, settled: &[Range<u64>], fate: Fate) {
        for numbers in settled {
            self.set_fate(numbers.clone(), fate);
            let count = numbers.end - numbers.start;
            let rides = &mut self.current.get_or_insert_default().rides;
            if fate == Fate::Accepted {
                rides.accepted += count;
            } else {
                rides.refused += count;
            }
        }
    }

    async fn ask(&mut self, question: &Question) -> bool {
        let path = match question {
            Question::DayVertical(ride) => path::skier_day(ride.resort_day(), ride.skier),
            Question::SeasonVertical(ride) => {
                path::season_vertical(ride.skier, ride.resort, ride.season)
            }
            Question::ResortDaySkiers(ride) => path::resort_day_skiers(ride.resort_day()),
        };
        loop {
            let answer = self.connection.get(&path).await;
            let again = match &answer {
                Ok(answer) => {
                    let Err(trouble) = judge_question(question, answer) else {
                        self.heard();
                        return true;
                    };
                    self.heard();
                    let text = String::from_utf8_lossy(&answer.body);
                    self.shared.measure.trouble(trouble, || text.into_owned());
                    (500..=599).contains(&answer.status)
                }
                Err(error) => {
                    self.report(&answer);
                    error.is_connection_trouble()
                }
            };
            if !again || !self.pause(&answer).await {
                return false;
            }
        }
    }

    /// Counts a try that did not do.
    fn report(&self, answer: &Result<Answer, CallError>) {
        match answer {
            Ok(answer) => {
                self.heard();
                self.shared
                    .measure
                    .trouble(Trouble::Status(answer.status), || {
                        String::from_utf8_lossy(&answer.body).into_owned()
                    });
            }
            Err(error) => {
                self.shared.silence.failed(self.now());
                self.shared
                    .measure
                    .trouble(Trouble::of(error), || skilift_core::lifecycle::chain(error));
            }
        }
    }

    /// The target has answered something.
    fn heard(&self) {
        self.shared.silence.heard();
    }

    /// Waits before another try; false when there is none.
    async fn pause(&mut self, answer: &Result<Answer, CallError>) -> bool {
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

    /// Waits until a moment since the start; it is over when the run is stopped before.
    async fn wait_until(&self, at: Duration) -> Result<(), Over> {
        if at <= self.now() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep_until((self.start + at).into()) => Ok(()),
            () = self.shared.stop.cancelled() => Err(Over),
        }
    }

    fn set_fate(&self, numbers: Range<u64>, fate: Fate) {
        if let Some(fates) = &self.shared.fates {
            for number in numbers {
                fates.set(number, fate);
            }
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}
