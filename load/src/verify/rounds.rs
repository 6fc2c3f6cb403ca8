//! Reads the accepted rides repeatedly until all are found or there is no more progress.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::crawl::{CrawlEnd, DayResponses, ReadScope, crawl};
use super::lists::{self, Verticals};
use super::prepare::{Method, Prepared};
use super::skier_days::{CheckState, SkierDay, SkierDays};
use super::{MethodName, Verification, verticals};
use crate::backlog::{self, Backlog};
use crate::outcome_log::{OutcomeLog, RideOutcome};
use crate::path;
use crate::plan::LoadConfig;
use crate::run::Progress;
use crate::workload::Workload;

/// Maximum number of rides per pass, which limits the memory.
const PASS_RIDES: u64 = 2_000_000;
/// First and longest pause between two rounds.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Reads until every accepted ride is found, or `patience` passes without progress.
pub(crate) async fn check(
    config: &LoadConfig,
    prepared: Prepared,
    patience: Duration,
    workload: &Workload,
    outcomes: &OutcomeLog,
    progress: &impl Fn(Progress),
    stop: &CancellationToken,
) -> Verification {
    let started = Instant::now();
    let method = prepared.method;
    let mut result = Verification::new(match method {
        Method::Lists => MethodName::RideLists,
        Method::Verticals(_) => MethodName::DayVerticals,
    });
    for (_, outcome) in outcomes.sent() {
        match outcome {
            RideOutcome::Accepted => result.accepted += 1,
            _ => result.unknown += 1,
        }
    }
    let mut is_silent = false;
    let passes = (result.accepted + result.unknown).div_ceil(PASS_RIDES);
    for pass in 0..passes {
        let rides = outcomes
            .sent()
            .map(|(number, outcome)| (workload.ride(number), outcome));
        let of_pass = rides.filter(|(ride, _)| SkierDay::of(ride).part(passes) == pass);
        let mut check = Check {
            config,
            method: &method,
            patience,
            stop,
            days: SkierDays::new(of_pass),
            verticals: Verticals::default(),
            is_silent,
        };
        let (before, all) = (result.found, result.accepted);
        let report = |found| {
            progress(Progress::Verifying {
                found: before + found,
                all,
            })
        };
        check.read_until_settled(&report).await;
        check.conclude(&mut result).await;
        is_silent = check.is_silent;
    }
    result.took_s = started.elapsed().as_secs_f64();
    result
}

struct Check<'a> {
    config: &'a LoadConfig,
    method: &'a Method,
    patience: Duration,
    stop: &'a CancellationToken,
    days: SkierDays,
    verticals: Verticals,
    /// Whether the target has stopped responding, which ends all reads.
    is_silent: bool,
}

impl Check<'_> {
    async fn read_until_settled(&mut self, report: &impl Fn(u64)) {
        let mut last_progress = Instant::now();
        let mut pause = PAUSE.0;
        let mut there = 0;
        while !self.is_silent {
            self.read_unsettled(report).await;
            let left = self.unsettled().len();
            let now_there = self.days.days.iter().map(|day| u64::from(day.there)).sum();
            if now_there > there {
                there = now_there;
                last_progress = Instant::now();
                pause = PAUSE.0;
            }
            if left == 0 || self.stop.is_cancelled() || last_progress.elapsed() >= self.patience {
                return;
            }
            let most = self.patience.saturating_sub(last_progress.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause.min(most)) => {}
                () = self.stop.cancelled() => return,
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// The skier days that are not complete yet, with their indexes.
    fn unsettled(&self) -> Vec<(usize, SkierDay)> {
        let unsettled =
            |check_state| matches!(check_state, CheckState::NotRead | CheckState::Missing);
        let days = self.days.days.iter().enumerate();
        days.filter(|(_, day)| unsettled(day.check_state))
            .map(|(at, day)| (at, day.day))
            .collect()
    }

    /// Reads every incomplete skier day once.
    async fn read_unsettled(&mut self, report: &impl Fn(u64)) {
        let unsettled = self.unsettled();
        let is_lists = matches!(self.method, Method::Lists);
        let scope = if is_lists {
            ReadScope::Both
        } else {
            ReadScope::Vertical
        };
        let (days, verticals) = (&mut self.days, &mut self.verticals);
        let mut found: u64 = days
            .days
            .iter()
            .filter(|day| day.check_state == CheckState::Complete)
            .map(|day| u64::from(day.there))
            .sum();
        let mut days_read = 0_u64;
        let record_responses = |responses: DayResponses| {
            let at = responses.at;
            match self.method {
                Method::Lists => lists::judge(days, responses, verticals),
                Method::Verticals(baseline) => verticals::judge(days, &responses, baseline),
            }
            let complete = days.days[at].check_state == CheckState::Complete;
            if complete && is_lists {
                found += u64::from(days.days[at].there);
            } else if complete {
                found += days.rides(at).filter(|ride| ride.is_accepted()).count() as u64;
            }
            days_read += 1;
            if days_read.is_multiple_of(1000) {
                report(found);
            }
        };
        let crawling = crawl(
            self.config,
            unsettled,
            scope,
            self.patience,
            self.stop,
            record_responses,
        );
        self.is_silent = crawling.await == CrawlEnd::Silent;
    }

    async fn conclude(&mut self, result: &mut Verification) {
        let waits = self.waits().await;
        let follows_rule = match self.method {
            Method::Lists => true,
            Method::Verticals(_) => verticals::follows_rule(&self.days),
        };
        if !follows_rule {
            result.note = Some(
                "the day verticals of this server are not 10 m times the lift number, so they cannot be compared with the rides"
                    .to_owned(),
            );
        }
        result.skier_days += self.days.days.len() as u64;
        for at in 0..self.days.days.len() {
            match self.method {
                Method::Lists => self.conclude_list(at, waits, result),
                Method::Verticals(_) => self.conclude_vertical(at, waits, follows_rule, result),
            }
        }
        if matches!(self.method, Method::Lists) {
            self.conclude_sums(result).await;
        }
    }

    /// Whether a Skilift server still has queued rides, or the comparison ended before all skier days were read.
    async fn waits(&self) -> bool {
        if self.unsettled().is_empty() {
            return false;
        }
        if self.stop.is_cancelled() || self.is_silent {
            return true;
        }
        let mut connection = self.config.connection();
        let answer = connection.get(path::STATISTICS).await;
        answer.is_ok_and(
            |answer| matches!(backlog::read(&answer), Backlog::Rides(rides) if rides > 0.0),
        )
    }

    fn conclude_list(&self, at: usize, waits: bool, result: &mut Verification) {
        let day = &self.days.days[at];
        result.foreign += u64::from(day.foreign);
        result.wrong += u64::from(day.doubled);
        if day.doubled > 0 {
            result.example(|| format!("wrong: {} lists rides twice", self.name(at)));
        }
        let was_read = day.check_state != CheckState::NotRead;
        for ride in self.days.rides(at).filter(|ride| ride.is_accepted()) {
            let word = match (was_read, ride.is_found()) {
                (true, true) => {
                    result.found += 1;
                    continue;
                }
                (true, false) if !waits => {
                    result.lost += 1;
                    "lost"
                }
                _ => {
                    result.pending += 1;
                    "pending"
                }
            };
            result.example(|| {
                let (minute, lift) = (ride.minute(), ride.lift());
                format!("{word}: {} time {minute} lift {lift}", self.name(at))
            });
        }
    }

    fn conclude_vertical(
        &self,
        at: usize,
        waits: bool,
        follows_rule: bool,
        result: &mut Verification,
    ) {
        let accepted = self
            .days
            .rides(at)
            .filter(|ride| ride.is_accepted())
            .count() as u64;
        let check_state = self.days.days[at].check_state;
        let comparable = follows_rule && check_state != CheckState::NotRead;
        result.verticals_compared += u64::from(comparable);
        match check_state {
            _ if !comparable => result.pending += accepted,
            CheckState::Complete => result.found += accepted,
            // Foreign rides or duplicates: a vertical does not distinguish them.
            CheckState::Over => {
                result.found += accepted;
                result.foreign += 1;
                result.wrong += 1;
                result.example(|| {
                    format!(
                        "wrong: the vertical of {} increased by more than was sent",
                        self.name(at)
                    )
                });
            }
            CheckState::Missing | CheckState::NotRead if waits => result.pending += accepted,
            CheckState::Missing | CheckState::NotRead => {
                let lost = verticals::least_lost(&self.days, at);
                result.lost += lost;
                result.found += accepted - lost;
                result.example(|| format!("lost: at least {lost} rides of {}", self.name(at)));
            }
        }
    }

    /// Compares the verticals with the sums of the lists. A day that does not match is read once more, because another client may
    /// have written to it between list and vertical.
    async fn conclude_sums(&mut self, result: &mut Verification) {
        if self.is_silent {
            return;
        }
        let learned = self.verticals.lift_verticals();
        let candidates = std::mem::take(&mut self.verticals.candidates);
        result.verticals_compared += self.verticals.agreed;
        let disagree = candidates
            .iter()
            .filter(|candidate| match candidate.agrees(&learned) {
                Some(agrees) => {
                    result.verticals_compared += 1;
                    !agrees
                }
                None => false,
            });
        let again = disagree
            .map(|candidate| (candidate.at, candidate.day))
            .collect();
        let mut second = Verticals::default();
        let days = &mut self.days;
        let record_responses = |responses: DayResponses| lists::judge(days, responses, &mut second);
        let crawling = crawl(
            self.config,
            again,
            ReadScope::Both,
            self.patience,
            self.stop,
            record_responses,
        );
        self.is_silent = crawling.await == CrawlEnd::Silent;
        for candidate in &second.candidates {
            if candidate.agrees(&learned) == Some(false) {
                result.wrong += 1;
                result.example(|| {
                    format!(
                        "wrong: the vertical of {} is not the sum of its rides",
                        self.name(candidate.at)
                    )
                });
            }
        }
    }

    fn name(&self, at: usize) -> String {
        let (on, skier) = self.days.days[at].day.place(self.config.ranges.season);
        let (resort, season, day) = (on.resort, on.season, on.day);
        format!("resort {resort} season {season} day {day} skier {skier}")
    }
}
