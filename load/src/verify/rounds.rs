//! Asks for what was accepted, again and again, until all of it is there or nothing moves any more.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::crawl::{Ask, CrawlEnd, Heard, crawl};
use super::lists::{self, Verticals};
use super::prepare::{Method, Prepared};
use super::skier_days::{SkierDay, SkierDays, Standing};
use super::{MethodName, Verification, verticals};
use crate::backlog::{self, Backlog};
use crate::connection::Connection;
use crate::fates::{Fate, Fates};
use crate::path;
use crate::plan::LoadConfig;
use crate::run::Progress;
use crate::workload::Workload;

/// Rides that are looked at together. It bounds the memory; more rides take several passes.
const PASS_RIDES: u64 = 2_000_000;
/// The first pause between two rounds, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Asks until every accepted ride answers, or `patience` passes without progress.
pub(crate) async fn check(
    config: &LoadConfig,
    prepared: Prepared,
    patience: Duration,
    workload: &Workload,
    fates: &Fates,
    progress: &impl Fn(Progress),
    stop: &CancellationToken,
) -> Verification {
    let started = Instant::now();
    let method = prepared.method;
    let mut result = Verification::new(match method {
        Method::Lists => MethodName::RideLists,
        Method::Verticals(_) => MethodName::DayVerticals,
    });
    for (_, fate) in fates.sent() {
        match fate {
            Fate::Accepted => result.accepted += 1,
            _ => result.unknown += 1,
        }
    }
    let mut is_silent = false;
    let passes = (result.accepted + result.unknown).div_ceil(PASS_RIDES);
    for pass in 0..passes {
        let rides = fates
            .sent()
            .map(|(number, fate)| (workload.ride(number), fate));
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
        let told = |found| {
            progress(Progress::Verifying {
                found: before + found,
                all,
            })
        };
        check.ask_until_settled(&told).await;
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
    /// Whether the target has stopped to answer, so that it is asked no more.
    is_silent: bool,
}

impl Check<'_> {
    async fn ask_until_settled(&mut self, told: &impl Fn(u64)) {
        let mut last_progress = Instant::now();
        let mut pause = PAUSE.0;
        let mut there = 0;
        while !self.is_silent {
            self.ask(told).await;
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

    /// The skier days that are not as they should be yet, with their places.
    fn unsettled(&self) -> Vec<(usize, SkierDay)> {
        let unsettled = |standing| matches!(standing, Standing::Unasked | Standing::Missing);
        let days = self.days.days.iter().enumerate();
        days.filter(|(_, day)| unsettled(day.standing))
            .map(|(at, day)| (at, day.day))
            .collect()
    }

    /// Asks once for every skier day that is not settled.
    async fn ask(&mut self, told: &impl Fn(u64)) {
        let asked = self.unsettled();
        let is_lists = matches!(self.method, Method::Lists);
        let ask = if is_lists { Ask::Both } else { Ask::Vertical };
        let (days, verticals) = (&mut self.days, &mut self.verticals);
        let mut found: u64 = days
            .days
            .iter()
            .filter(|day| day.standing == Standing::Complete)
            .map(|day| u64::from(day.there))
            .sum();
        let mut heard_so_far = 0_u64;
        let hear = |heard: Heard| {
            let at = heard.at;
            match self.method {
                Method::Lists => lists::judge(days, heard, verticals),
                Method::Verticals(baseline) => verticals::judge(days, &heard, baseline),
            }
            let complete = days.days[at].standing == Standing::Complete;
            if complete && is_lists {
                found += u64::from(days.days[at].there);
            } else if complete {
                found += days.rides(at).filter(|ride| ride.is_accepted()).count() as u64;
            }
            heard_so_far += 1;
            if heard_so_far.is_multiple_of(1000) {
                told(found);
            }
        };
        let crawling = crawl(self.config, asked, ask, self.patience, self.stop, hear);
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
                "the day verticals of this server do not follow 10 m times the lift's number, so that they cannot be compared with the rides"
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

    /// Whether rides still wait in the queue of a server of ours, or the comparison was ended before all was asked for.
    async fn waits(&self) -> bool {
        if self.unsettled().is_empty() {
            return false;
        }
        if self.stop.is_cancelled() || self.is_silent {
            return true;
        }
        let mut connection = Connection::new(self.config.target.clone(), self.config.timeout);
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
        let asked = day.standing != Standing::Unasked;
        for ride in self.days.rides(at).filter(|ride| ride.is_accepted()) {
            let word = match (asked, ride.is_found()) {
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
        let standing = self.days.days[at].standing;
        let comparable = follows_rule && standing != Standing::Unasked;
        result.verticals_compared += u64::from(comparable);
        match standing {
            _ if !comparable => result.pending += accepted,
            Standing::Complete => result.found += accepted,
            // Somebody else's rides, or ours twice: a vertical does not tell which.
            Standing::Over => {
                result.found += accepted;
                result.foreign += 1;
                result.wrong += 1;
                result.example(|| {
                    format!("wrong: {} has risen by more than was sent", self.name(at))
                });
            }
            Standing::Missing | Standing::Unasked if waits => result.pending += accepted,
            Standing::Missing | Standing::Unasked => {
                let lost = verticals::least_lost(&self.days, at);
                result.lost += lost;
                result.found += accepted - lost;
                result.example(|| format!("lost: {} lacks {lost} rides or more", self.name(at)));
            }
        }
    }

    /// Holds the verticals beside the lists against their sums. A day that does not agree is asked once more: others may
    /// have written to it between list and vertical.
    async fn conclude_sums(&mut self, result: &mut Verification) {
        if self.is_silent {
            return;
        }
        let learned = self.verticals.learn();
        let suspects = std::mem::take(&mut self.verticals.suspects);
        result.verticals_compared += self.verticals.agreed;
        let disagree = suspects
            .iter()
            .filter(|suspect| match suspect.agrees(&learned) {
                Some(agrees) => {
                    result.verticals_compared += 1;
                    !agrees
                }
                None => false,
            });
        let again = disagree.map(|suspect| (suspect.at, suspect.day)).collect();
        let mut second = Verticals::default();
        let days = &mut self.days;
        let hear = |heard: Heard| lists::judge(days, heard, &mut second);
        let crawling = crawl(
            self.config,
            again,
            Ask::Both,
            self.patience,
            self.stop,
            hear,
        );
        self.is_silent = crawling.await == CrawlEnd::Silent;
        for suspect in &second.suspects {
            if suspect.agrees(&learned) == Some(false) {
                result.wrong += 1;
                result.example(|| {
                    format!(
                        "wrong: {} has a vertical that is not the sum of its rides",
                        self.name(suspect.at)
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
