//! Parameters of a run, validated before the first request.

use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use tokio_rustls::rustls::ClientConfig;

use crate::breaker::{BreakerLimits, InvalidLimits};
use crate::connection::Connection;
use crate::outcome_log::OutcomeLog;
use crate::pace::{InvalidProfile, LONGEST, Pace, Profile};
use crate::target::Target;
use crate::workload::{InvalidWorkload, Ranges, Workload};

/// Default number of connections of a closed loop.
const CLOSED_CONNECTIONS: usize = 64;
/// Mean latency for which the default number of connections of an open loop suffices at its highest
/// rate.
const OPEN_LATENCY: Duration = Duration::from_millis(50);
/// Initial number of connections of an open loop.
const OPEN_AWAKE: usize = 64;
/// Maximum default number of connections of an open loop.
const OPEN_CONNECTIONS: usize = 1024;
/// Maximum number of connections, limited by the ports of a client to one server.
pub(crate) const MAX_CONNECTIONS: usize = 60_000;

/// Parameters of a run.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// The server.
    pub target: Target,
    /// Further headers of each request, for example an ingest key.
    pub headers: HeaderMap,
    /// TLS, which an https target needs.
    pub tls: Option<Arc<ClientConfig>>,
    /// Pace and length.
    pub schedule: Schedule,
    /// Number of connections, each with one request at a time; none for the default.
    pub connections: Option<usize>,
    /// Ranges of the rides.
    pub ranges: Ranges,
    /// Seed of the random generator.
    pub seed: u64,
    /// Share of reads among the requests, 0 to 1.
    pub reads: f64,
    /// Rides per bulk request; none for single rides, posted to the skier's day.
    pub bulk: Option<u64>,
    /// The circuit breaker between senders and target.
    pub breaker: Option<BreakerLimits>,
    /// Timeout of a request.
    pub timeout: Duration,
    /// Timeout without progress for the verification of all accepted rides; none without verification.
    pub verify: Option<Duration>,
    /// Maximum time without any response before the run ends.
    pub give_up_after: Duration,
}

/// Pace and length.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Each sender waits for its response.
    Closed(Until),
    /// A constant rate in requests per second.
    Rate(f64, Until),
    /// A rate over time, and its length.
    Profile(Profile),
}

/// When a run is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Until {
    /// After this number of rides.
    Rides(u64),
    /// After this time.
    Time(Duration),
}

/// Invalid parameters.
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
    /// The senders themselves would keep the breaker open.
    #[error(
        "the breaker would never close again: {connections} connections that each send {events} rides or reads once per interval count {asked}, but it closes below {close}; use fewer threads, a smaller --bulk or a higher --breaker-close"
    )]
    BreakerHeldOpen {
        /// Senders.
        connections: usize,
        /// Rides per request of each.
        events: u64,
        /// Their product.
        asked: u64,
        /// The close limit.
        close: u64,
    },
    /// Too few or too many connections.
    #[error("a run needs 1 to {MAX_CONNECTIONS} threads, each with one connection, not {0}")]
    Connections(usize),
    /// The run would send no request.
    #[error("{0}")]
    Nothing(&'static str),
    /// A time is too long.
    #[error("the {what} must not be longer than 365 days, not {time:?}")]
    Long {
        /// Name of the time.
        what: &'static str,
        /// The given value.
        time: Duration,
    },
    /// The run has only reads, but a number of rides.
    #[error("a run with only reads sends no rides: set --duration instead of --rides")]
    RidesOfReads,
    /// Too many rides to verify.
    #[error("at most {most} rides can be verified, not {0}", most = OutcomeLog::MAX_RIDES)]
    VerifyTooMany(u64),
}

/// A validated run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) pace: Pace,
    pub(crate) connections: usize,
    /// Number of senders that start immediately; the others wait until they are needed.
    pub(crate) awake: usize,
    /// Total number of requests; in a closed loop with a deadline, as many as the distinct rides allow.
    pub(crate) total: u64,
    /// Time after the start at which no new request is sent any more.
    pub(crate) deadline: Option<Duration>,
    /// Total number of rides, if known in advance.
    pub(crate) rides: Option<u64>,
}

impl LoadConfig {
    /// A connection to the target, not open yet.
    pub(crate) fn connection(&self) -> Connection {
        Connection::new(self.target.clone(), self.timeout)
            .with_headers(self.headers.clone())
            .with_tls(self.tls.clone())
    }

    /// Validates everything that does not require the target; a run also does this first.
    ///
    /// # Errors
    /// If the parameters are invalid.
    pub fn check(&self) -> Result<(), ConfigError> {
        Plan::new(self, 0).map(drop)
    }

    /// Checks that all times and their sums fit into the clock.
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
            ("time without a response", self.give_up_after),
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
    /// Plans a run whose first rides are already sent by the verification.
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
            Until::Rides(0) => return Err(ConfigError::Nothing("--rides must be at least 1")),
            Until::Rides(_) if workload.only_reads() => return Err(ConfigError::RidesOfReads),
            Until::Rides(rides) => workload.limit(already_sent.min(rides)..rides)?,
            Until::Time(Duration::ZERO) => {
                return Err(ConfigError::Nothing("--duration must be longer than 0s"));
            }
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
                // Long enough that rounding does not omit the last request.
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
        // The number of rides of an open loop is always known.
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
        if !(1..=MAX_CONNECTIONS).contains(&self.connections) {
            return Err(ConfigError::Connections(self.connections));
        }
        if let (Some(_), Some(rides)) = (config.verify, self.rides)
            && rides > OutcomeLog::MAX_RIDES
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
