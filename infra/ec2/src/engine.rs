//! Starts and stops EC2 instances, until there is exactly one outcome for each.
//!
//! Every round describes all instances that have no outcome yet, and only then sends calls for those whose state requires
//! it. So the effects of a call are always observed before anything is sent again. EC2 refuses a whole batch because of one
//! id: a refused batch is halved until single ids are refused.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::call::{CallError, Checks, Class, Ec2, Seen};
use super::judge::{Called, Known, Verdict, judge};
use super::pace::{
    CALL_TRIES, CAPACITY_PAUSE, CAPACITY_TRIES, Pace, SPOT_PAUSE, SPOT_TRIES, START_LIMIT,
    STATE_TRIES, STOP_LIMIT,
};
use skilift_fleet::Progress;
use skilift_fleet::instance::InstanceId;
use skilift_fleet::outcome::{Outcome, OutcomeCode, Verb};

/// Maximum instances in one call.
const BATCH: usize = 50;

/// Starts or stops instances. Returns one outcome for each id, in the order of `ids`.
pub(super) async fn carry_out(
    ec2: &dyn Ec2,
    pace: &Pace,
    stack: &str,
    verb: Verb,
    ids: &[InstanceId],
    progress: Progress<'_>,
) -> Vec<Outcome> {
    let mut run = Run {
        ec2,
        pace,
        stack,
        verb,
        progress,
        cases: ids.iter().map(|id| (id.clone(), Case::new(verb))).collect(),
        batches: VecDeque::new(),
        failed_looks: 0,
    };
    run.until_all_ended().await;
    let mut ended = run.cases;
    ids.iter()
        .filter_map(|id| {
            // An id that was given twice is one instance.
            let (code, message) = ended.remove(id)?.ended?;
            Some(Outcome {
                id: id.clone(),
                code,
                message,
            })
        })
        .collect()
}

struct Run<'a> {
    ec2: &'a dyn Ec2,
    pace: &'a Pace,
    stack: &'a str,
    verb: Verb,
    progress: Progress<'a>,
    cases: BTreeMap<InstanceId, Case>,
    /// Parts of batches that were refused as a whole.
    batches: VecDeque<Vec<InstanceId>>,
    /// Consecutive failed descriptions.
    failed_looks: u32,
}

/// State of one instance.
struct Case {
    known: Known,
    tries: Tries,
    /// No call for it before this time.
    not_before: Instant,
    deadline: Instant,
    /// Type and zone: the pool of EC2's capacity.
    pool: Option<(String, String)>,
    told: String,
    ended: Option<(OutcomeCode, String)>,
}

#[derive(Default)]
struct Tries {
    call: u32,
    capacity: u32,
    state: u32,
    spot: u32,
}

impl Case {
    fn new(verb: Verb) -> Self {
        let now = Instant::now();
        let limit = match verb {
            Verb::Start => START_LIMIT,
            Verb::Stop => STOP_LIMIT,
        };
        Self {
            known: Known::default(),
            tries: Tries::default(),
            not_before: now,
            deadline: now + limit,
            pool: None,
            told: String::new(),
            ended: None,
        }
    }

    fn end(&mut self, code: OutcomeCode, message: impl Into<String>) {
        self.ended.get_or_insert_with(|| (code, message.into()));
    }
}

/// Work found in a round.
#[derive(Default)]
struct Found {
    to_call: Vec<InstanceId>,
    to_check: Vec<InstanceId>,
    has_news: bool,
}

impl Run<'_> {
    async fn until_all_ended(&mut self) {
        for (id, case) in &mut self.cases {
            if !is_well_formed(id) {
                case.end(
                    OutcomeCode::BadId,
                    "not an instance id: i- and 8 or 17 hexadecimal digits are required",
                );
            }
        }
        let mut quiet = 0;
        loop {
            self.end_overdue();
            let open = self.open();
            if open.is_empty() {
                return;
            }
            let seen = match self.ec2.describe(&open).await {
                Ok(seen) => seen,
                Err(error) => {
                    self.note_failed_look(&error);
                    self.pause(self.pace.retry(self.failed_looks)).await;
                    continue;
                }
            };
            self.failed_looks = 0;
            let found = self.judge_all(&open, &seen);
            self.check(&found.to_check).await;
            let wanted = found.to_call.len();
            let batch = self.next_batch(found.to_call);
            if !batch.is_empty() {
                quiet = 0;
                let is_all = batch.len() == wanted;
                if self.call(batch).await && is_all {
                    self.pause(self.pace.look(0)).await;
                }
                continue;
            }
            quiet = if found.has_news { 0 } else { quiet + 1 };
            self.pause(self.pace.look(quiet)).await;
        }
    }

    fn open(&self) -> Vec<InstanceId> {
        let open = self.cases.iter().filter(|(_, case)| case.ended.is_none());
        open.map(|(id, _)| id.clone()).collect()
    }

    /// Waits, but not beyond a postponed call or a deadline. Does not wait if nothing is left to do.
    async fn pause(&self, time: Duration) {
        let now = Instant::now();
        let open = self.cases.values().filter(|case| case.ended.is_none());
        if open.clone().next().is_none() {
            return;
        }
        let due = open
            .flat_map(|case| [case.not_before, case.deadline])
            .filter(|at| *at > now)
            .min();
        let until = due.map_or(now + time, |due| due.min(now + time));
        sleep_until(until).await;
    }

    fn end_overdue(&mut self) {
        let now = Instant::now();
        let (verb, failed_looks) = (self.verb, self.failed_looks);
        for case in self.cases.values_mut().filter(|case| case.deadline <= now) {
            let limit = match verb {
                Verb::Start => START_LIMIT,
                Verb::Stop => STOP_LIMIT,
            };
            let minutes = limit.as_secs() / 60;
            if failed_looks > 0 {
                let why = format!("its state could not be read any more: {}", case.told);
                case.end(OutcomeCode::Unreachable, why);
                continue;
            }
            let advice = match verb {
                Verb::Start => "check its console output in EC2",
                Verb::Stop => "EC2 can force it: aws ec2 stop-instances --force",
            };
            let why = format!("not done within {minutes} minutes: {}; {advice}", case.told);
            case.end(OutcomeCode::TimedOut, why);
        }
    }

    fn note_failed_look(&mut self, error: &CallError) {
        self.failed_looks += 1;
        let is_final = matches!(
            error.class(),
            Class::Denied | Class::Credentials | Class::Refused
        );
        let is_long = self.failed_looks >= CALL_TRIES;
        for (id, case) in self
            .cases
            .iter_mut()
            .filter(|(_, case)| case.ended.is_none())
        {
            let message = error.advice("ec2:DescribeInstances");
            // An instance with a sent call continues, and is described until its deadline, unless descriptions keep failing.
            let is_over = match case.known.called {
                Called::Not => is_final || is_long,
                _ => is_final && is_long,
            };
            if is_over {
                case.end(error.outcome(), message);
            } else {
                tell(self.progress, id, case, message);
            }
        }
    }

    fn judge_all(&mut self, open: &[InstanceId], seen: &[Seen]) -> Found {
        let now = Instant::now();
        let mut found = Found::default();
        for id in open {
            let Some(case) = self.cases.get_mut(id) else {
                continue;
            };
            let Some(seen) = seen.iter().find(|seen| seen.instance.id == *id) else {
                case.tries.state += 1;
                if case.tries.state >= STATE_TRIES {
                    case.end(
                        OutcomeCode::NotFound,
                        "instance does not exist in this account and region",
                    );
                }
                continue;
            };
            let instance = &seen.instance;
            case.pool = Some((instance.instance_type.clone(), instance.zone.clone()));
            match judge(self.verb, self.stack, seen, &mut case.known, now) {
                Verdict::Call if case.not_before <= now => found.to_call.push(id.clone()),
                Verdict::Call => {}
                Verdict::Check => found.to_check.push(id.clone()),
                Verdict::Wait(how) => found.has_news |= tell(self.progress, id, case, how),
                Verdict::End(code, message) => {
                    found.has_news = true;
                    case.end(code, message);
                }
            }
        }
        found
    }

    /// Reads EC2's status checks of running instances.
    async fn check(&mut self, ids: &[InstanceId]) {
        if ids.is_empty() {
            return;
        }
        let checked = self.ec2.statuses(ids).await;
        for id in ids {
            let Some(case) = self.cases.get_mut(id) else {
                continue;
            };
            let of_this = match &checked {
                Ok(all) => all
                    .iter()
                    .find(|(of, _)| of == id)
                    .map(|(_, checks)| *checks),
                Err(error) if matches!(error.class(), Class::Denied | Class::Refused) => {
                    let why = error.advice("ec2:DescribeInstanceStatus");
                    case.end(
                        OutcomeCode::Done,
                        format!("running; cannot read its EC2 status checks: {why}"),
                    );
                    continue;
                }
                Err(_) => None,
            };
            match of_this {
                Some(Checks::Ok) => {
                    case.end(OutcomeCode::Done, "running, EC2 status checks passed")
                }
                Some(Checks::Impaired) => {
                    let how = "running, but its EC2 status checks fail";
                    tell(self.progress, id, case, how.to_owned());
                }
                Some(Checks::Initializing) | None => {
                    let how = "running, EC2 status checks in progress";
                    tell(self.progress, id, case, how.to_owned());
                }
            }
        }
    }

    /// The next instances to call for, of those whose state requires it.
    fn next_batch(&mut self, to_call: Vec<InstanceId>) -> Vec<InstanceId> {
        while let Some(mut batch) = self.batches.pop_front() {
            batch.retain(|id| to_call.contains(id));
            if !batch.is_empty() {
                return batch;
            }
        }
        let Some(first) = to_call.first() else {
            return Vec::new();
        };
        // Capacity depends on type and zone, so each such pool is a separate batch.
        let pool = |id: &InstanceId| self.cases.get(id).and_then(|case| case.pool.as_ref());
        let is_alike = |id: &&InstanceId| self.verb == Verb::Stop || pool(id) == pool(first);
        to_call
            .iter()
            .filter(is_alike)
            .take(BATCH)
            .cloned()
            .collect()
    }

    /// Sends the call. Returns whether EC2 accepted it.
    async fn call(&mut self, batch: Vec<InstanceId>) -> bool {
        let called = self.ec2.change(self.verb, &batch, false).await;
        let now = Instant::now();
        for id in &batch {
            if let Some(case) = self.cases.get_mut(id) {
                case.known.was_named = true;
                case.known.was_moving = false;
            }
        }
        match called {
            Ok(()) => {
                for id in &batch {
                    if let Some(case) = self.cases.get_mut(id) {
                        case.known.called = Called::Accepted(now);
                        case.tries = Tries::default();
                        tell(self.progress, id, case, "accepted by EC2".to_owned());
                    }
                }
                true
            }
            Err(error) => {
                self.note_refusal(batch, &error, now);
                false
            }
        }
    }

    fn note_refusal(&mut self, batch: Vec<InstanceId>, error: &CallError, now: Instant) {
        match error.class() {
            Class::Credentials => {
                for id in &batch {
                    self.end(id, error);
                }
            }
            Class::Throttled | Class::Unknown => {
                let is_sent = !matches!(error, CallError::NotSent(_));
                let is_unsure = error.class() == Class::Unknown && is_sent;
                let tries = batch
                    .iter()
                    .filter_map(|id| Some(self.cases.get(id)?.tries.call));
                let wait = self.pace.retry(tries.max().unwrap_or(0));
                for id in &batch {
                    let Some(case) = self.cases.get_mut(id) else {
                        continue;
                    };
                    case.tries.call += 1;
                    case.not_before = now + wait;
                    if is_unsure {
                        case.known.called = Called::Unsure(now);
                    }
                    if case.tries.call >= CALL_TRIES {
                        self.end(id, error);
                    } else {
                        tell(self.progress, id, case, format!("{error}; retrying"));
                    }
                }
                self.batches.push_front(batch);
            }
            _ if batch.len() > 1 => {
                let mut first = batch;
                let second = first.split_off(first.len() / 2);
                self.batches.push_front(second);
                self.batches.push_front(first);
            }
            class => {
                for id in &batch {
                    self.note_single_refusal(id, class, error, now);
                }
            }
        }
    }

    /// Handles the refusal of a single instance.
    fn note_single_refusal(
        &mut self,
        id: &InstanceId,
        class: Class,
        error: &CallError,
        now: Instant,
    ) {
        let Some(case) = self.cases.get_mut(id) else {
            return;
        };
        let (tries, most, pause) = match class {
            Class::NoCapacity => (&mut case.tries.capacity, CAPACITY_TRIES, CAPACITY_PAUSE),
            Class::SpotRequest => (&mut case.tries.spot, SPOT_TRIES, SPOT_PAUSE),
            Class::WrongState | Class::NotFound => {
                (&mut case.tries.state, STATE_TRIES, Duration::from_secs(1))
            }
            _ => return self.end(id, error),
        };
        *tries += 1;
        if *tries >= most {
            return self.end(id, error);
        }
        case.not_before = now + self.pace.about(pause);
        let how = format!("{error}; retrying");
        tell(self.progress, id, case, how);
    }

    fn end(&mut self, id: &InstanceId, error: &CallError) {
        let doing = self.verb.to_string();
        if let Some(case) = self.cases.get_mut(id) {
            case.end(error.outcome(), error.advice(&doing));
        }
    }
}

/// Reports the progress of an instance, if it changed.
fn tell(progress: Progress<'_>, id: &InstanceId, case: &mut Case, how: String) -> bool {
    let is_news = case.told != how;
    if is_news {
        progress(id, how.clone());
        case.told = how;
    }
    is_news
}

/// Whether an id has the format of EC2.
fn is_well_formed(id: &InstanceId) -> bool {
    let digits = id.as_str().strip_prefix("i-");
    digits.is_some_and(|digits| {
        (8..=17).contains(&digits.len())
            && digits
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}
