//! What a run is asked to do, checked before anything is sent.

use std::time::Duration;

use crate::breaker::{BreakerLimits, InvalidLimits};
use crate::fates::Fates;
use crate::pace::{InvalidProfile, LONGEST, Pace, Profile};
use crate::target::Target;
use crate::workload::{InvalidWorkload, Ranges, Workload};

/// Connections of a closed loop when it is not said.
const CLOSED_CONNECTIONS: usize = 64;
/// How much of its highest rate an open loop can have under way when it is not said: as many connections as answers of
/// this mean latency need.
const OPEN_LATENCY: Duration = Duration::from_millis(50);
/// Connections with which an open loop begins.
const OPEN_AWAKE: usize = 64;
/// Most connections that an open loop takes when it is not said.
const OPEN_CONNECTIONS: usize = 1024;
/// Most connections at all: a client has no more ports than this to one server.
pub(crate) const MOST_CONNECTIONS: usize = 60_000;

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// The server.
    pub target: Target,
    /// What sets the pace, and how long.
    pub schedule: Schedule,
    /// Connections, each with one request at a time; none for the default.
    pub connections: Option<usize>,
    /// Where the rides take place.
    pub ranges: Ranges,
    /// From which everything random follows.
    pub seed: u64,
    /// Share of questions among the requests, 0 to 1.
    pub reads: f64,
    /// Rides in a request; none for one each, posted to the skier's day.
    pub bulk: Option<u64>,
    /// The circuit breaker between senders and target.
    pub breaker: Option<BreakerLimits>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether every accepted ride is asked for afterwards, and how long without progress.
    pub verify: Option<Duration>,
    /// How long the target may give no answer at all before the run ends.
    pub give_up_after: Duration,
}

/// What sets the pace, and how long.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Each sender waits for its answer.
    Closed(Until),
    /// So many requests a second.
    Rate(f64, Until),
    /// A rate over time, and its length.
    Profile(Profile),
}

/// When a run is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Until {
    /// When so many rides are sent.
    Rides(u64),
    /// After so long.
    Time(Duration),
}

/// A run that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The workload.
    #[error(transparent)]
    Workload(#[from] InvalidWorkload),
    /// The schedule.
    #[error(transparent)]
    Profile(#[from] InvalidProfile),
    /// The breaker.
    #[error(transparent)]
    Breaker(#[from] InvalidLimits),
    /// A breaker that its own senders would keep open.
    #[error(
        "the breaker would never close again: {connections} connections that each ask once an interval for {events} count {asked}, and it closes below {close}; use fewer threads, a smaller bulk or a higher --breaker-close"
    )]
    BreakerHeldOpen {
        /// Senders.
        connections: usize,
        /// Rides that each asks for.
        events: u64,
        /// Both multiplied.
        asked: u64,
        /// Where it closes.
        close: u64,
    },
    /// Too few or too many connections.
    #[error("a run needs 1 to {MOST_CONNECTIONS} threads, each with a connection, not {0}")]
    Connections(usize),
    /// A run that sends nothing.
    #[error("a run of no {0} sends nothing")]
    Nothing(&'static str),
    /// A time beyond all clocks.
    #[error("the {what} must not be longer than 365 days, not {time:?}")]
    Long {
        /// What takes this time.
        what: &'static str,
        /// What was asked for.
        time: Duration,
    },
    /// Rides that no request carries.
    #[error(
        "with nothing but reads no ride is ever sent: say how long the run is instead of how many rides"
    )]
    RidesOfReads,
    /// More than can be followed.
    #[error("at most {most} rides can be verified, not {0}", most = Fates::MOST)]
    VerifyTooMany(u64),
}

/// A checked run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) pace: Pace,
    pub(crate) connections: usize,
    /// Those that send from the beginning; the others wait until they are needed.
    pub(crate) awake: usize,
    /// Requests in all; in a closed loop with a deadline, as many as there are rides for.
    pub(crate) total: u64,
    /// When nothing new is sent any more, since the start.
    pub(crate) deadline: Option<Duration>,
    /// Rides in all, where that is known before.
    pub(crate) rides: Option<u64>,
}

impl LoadConfig {
    /// Checks everything that can be checked without the target. A run does this first, too.
    ///
    /// # Errors
    /// When the run cannot be meant.
    pub fn check(&self) -> Result<(), ConfigError> {
        Plan::new(self, 0).map(drop)
    }

    /// A clock can count all of these times, and their sums.
    fn check_times(&self) -> Result<(), ConfigError> {
        let run = match self.schedule {
            Schedule::Closed(Until::Time(time)) | Schedule::Rate(_, Until::Time(time)) => time,
            _ => Duration::ZERO,
        };
        let breaker = self
            .breaker
            .map(|limits| limits.open_interval.max(limits.close_interval));
        for (what, time) in [
            ("duration of a run", run),
            ("timeout", self.timeout),
            (
                "timeout of the verification",
                self.verify.unwrap_or_default(),
            ),
            (
                "time after which a silent target is given up",
                self.give_up_after,
            ),
            ("interval of the breaker", breaker.unwrap_or_default()),
        ] {
            if time > LONGEST {
                return Err(ConfigError::Long { what, time });
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Plans a run whose first rides, so many of all, are sent by someone else.
    pub(crate) fn new(config: &LoadConfig, already_sent: u64) -> Result<Self, ConfigError> {
        config.check_times()?;
        let mut workload = Workload::new(
            config.ranges.clone(),
            config.seed,
            config.reads,
            config.bulk,
        )?;
        let until = match &config.schedule {
            Schedule::Closed(until) | Schedule::Rate(_, until) => *until,
            Schedule::Profile(profile) => Until::Time(profile.length()),
        };
        let space = u64::try_from(config.ranges.space()).unwrap_or(u64::MAX);
        match until {
            Until::Rides(0) => return Err(ConfigError::Nothing("rides")),
            Until::Rides(_) if workload.only_reads() => return Err(ConfigError::RidesOfReads),
            Until::Rides(rides) => workload.limit(already_sent.min(rides)..rides)?,
            Until::Time(Duration::ZERO) => return Err(ConfigError::Nothing("time")),
            Until::Time(_) => workload.limit(already_sent.min(space)..space)?,
        }
        let all = workload.requests();
        let (pace, total) = match (&config.schedule, until) {
            (Schedule::Closed(_), _) => (
                Pace::Closed,
                all.unwrap_or(if workload.only_reads() { u64::MAX } else { 0 }),
            ),
            (Schedule::Rate(rate, _), Until::Rides(_)) => {
                let total = all.unwrap_or(0);
                Profile::constant(*rate, Duration::from_secs(1))?;
                // Long enough that no rounding leaves the last one out.
                let length = Duration::try_from_secs_f64((total + 1) as f64 / rate)
                    .map_err(|_| InvalidProfile::Rate(rate.to_string()))?;
                (Pace::Open(Profile::constant(*rate, length)?), total)
            }
            (Schedule::Rate(rate, _), Until::Time(length)) => {
                let profile = Profile::constant(*rate, length)?;
                let total = profile.requests();
                (Pace::Open(profile), total)
            }
            (Schedule::Profile(profile), _) => (Pace::Open(profile.clone()), profile.requests()),
        };
        let rides = match (&pace, until) {
            (_, Until::Rides(rides)) => Some(rides),
            (Pace::Open(_), Until::Time(_)) => Some(already_sent + workload.rides_in(total)),
            (Pace::Closed, Until::Time(_)) => None,
        };
        // An open loop knows how many rides it wants, however it was told.
        if let (Some(rides), Until::Time(_)) = (rides, until) {
            workload.limit(already_sent..rides.max(already_sent))?;
        }
        let connections = connections(config, &pace);
        let plan = Self {
            connections,
            awake: match pace {
                Pace::Closed => connections,
                Pace::Open(_) => connections.min(OPEN_AWAKE),
            },
            deadline: match until {
                Until::Rides(_) => None,
                Until::Time(length) => Some(length),
            },
            workload,
            pace,
            total,
            rides,
        };
        plan.check(config)?;
        Ok(plan)
    }

    fn check(&self, config: &LoadConfig) -> Result<(), ConfigError> {
        if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            return Err(ConfigError::Connections(self.connections));
        }
        if let (Some(_), Some(rides)) = (config.verify, self.rides)
            && rides > Fates::MOST
        {
            return Err(ConfigError::VerifyTooMany(rides));
        }
        let Some(limits) = config.breaker else {
            return Ok(());
        };
        limits.check()?;
        let events = self.workload.rides_per_request();
        let asked = events.saturating_mul(self.connections as u64);
        if asked >= limits.close {
            return Err(ConfigError::BreakerHeldOpen {
                connections: self.connections,
                events,
                asked,
                close: limits.close,
            });
        }
        Ok(())
    }
}

fn connections(config: &LoadConfig, pace: &Pace) -> usize {
    config.connections.unwrap_or(match pace {
        Pace::Closed => CLOSED_CONNECTIONS,
        Pace::Open(profile) => {
            let under_way = (profile.highest_rate() * OPEN_LATENCY.as_secs_f64()).ceil() as usize;
            under_way.clamp(OPEN_AWAKE, OPEN_CONNECTIONS)
        }
    })
}
