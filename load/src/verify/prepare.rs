//! Preparation of the verification before a run: how the rides of this server can be read.

use std::time::{Duration, Instant};

use skilift_core::ride::Ride;
use tokio_util::sync::CancellationToken;

use super::crawl::{CrawlEnd, ReadScope, crawl};
use super::lists::metres_in;
use super::skier_days::SkierDay;
use super::verticals::Baseline;
use crate::connection::{CallError, Connection, HttpResponse};
use crate::judge::{RideVerdict, judge_ride};
use crate::path;
use crate::plan::{ConfigError, LoadConfig, Plan};
use crate::retry::Pauses;
use crate::run::Progress;

/// Number of probe rides after which the server is assumed to reject all rides.
const TRIED: u64 = 100;
/// Interval at which a stored ride is polled.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Maximum number of rides whose skier days are read before the run.
const MAX_BY_VERTICALS: u64 = 20_000_000;
/// Number of retries for a skier day without a response.
const ROUNDS: usize = 5;

/// Plan of the verification.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    /// Number of posted probe rides, the last one accepted; none if no probe was necessary.
    pub(crate) already_sent: u64,
}

/// How rides are read.
#[derive(Debug)]
pub(crate) enum Method {
    /// The server lists rides.
    Lists,
    /// The server has only verticals, with these values before the run.
    Verticals(Baseline),
}

/// Why a run cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A read had no response.
    #[error("the target does not respond")]
    Call(#[source] CallError),
    /// All probe rides were rejected.
    #[error(
        "the target accepted none of the first {tried} rides; the last response was {status}: {message}"
    )]
    Refused {
        /// Number of probe rides.
        tried: u64,
        /// Status of the last response.
        status: u16,
        /// Its message.
        message: String,
    },
    /// The probe ride did not appear.
    #[error(
        "an accepted ride did not appear within {0:?}, neither in a list of rides nor in a day vertical"
    )]
    NeverStored(Duration),
    /// The rides of the run are not known in advance.
    #[error(
        "the target lists no rides, so the day verticals of the run's rides must be read in advance: set --rides or --rate"
    )]
    RidesUnknown,
    /// There are too many rides to read in advance.
    #[error(
        "the target lists no rides, and the day verticals of {0} rides are too many to read before the run; the maximum is {MAX_BY_VERTICALS}"
    )]
    TooMany(u64),
    /// The parameters are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run was stopped.
    #[error("stopped")]
    Stopped,
}

/// Detects whether the server lists rides; if not, reads the vertical of every skier day of the run.
pub(crate) async fn prepare(
    config: &LoadConfig,
    plan: &Plan,
    patience: Duration,
    mut connection: Connection,
    progress: &impl Fn(Progress),
    stop: &CancellationToken,
) -> Result<Prepared, PrepareError> {
    let detecting = detect(plan, patience, &mut connection);
    let detected = tokio::select! {
        detected = detecting => detected?,
        () = stop.cancelled() => return Err(PrepareError::Stopped),
    };
    let Detected::Verticals {
        already_sent,
        before,
    } = detected
    else {
        let Detected::Lists { already_sent } = detected else {
            unreachable!("two ways")
        };
        return Ok(Prepared {
            method: Method::Lists,
            already_sent,
        });
    };
    let planned = Plan::new(config, already_sent)?.rides;
    let rides = planned.ok_or(PrepareError::RidesUnknown)?;
    if rides > MAX_BY_VERTICALS {
        return Err(PrepareError::TooMany(rides));
    }
    let all = Rides {
        rides,
        tried: plan.workload.ride(already_sent - 1),
        before,
    };
    let baseline = read_baseline(config, plan, &all, patience, progress, stop).await?;
    Ok(Prepared {
        method: Method::Verticals(baseline),
        already_sent,
    })
}

enum Detected {
    Lists {
        already_sent: u64,
    },
    Verticals {
        already_sent: u64,
        /// The vertical of the last ride's skier day before it was posted; none if it could not be read.
        before: Option<u64>,
    },
}

async fn detect(
    plan: &Plan,
    patience: Duration,
    connection: &mut Connection,
) -> Result<Detected, PrepareError> {
    if plan.workload.only_reads() || refuses_skier_zero(plan, connection).await? {
        return Ok(Detected::Lists { already_sent: 0 });
    }
    let most = plan.rides.map_or(TRIED, |rides| rides.min(TRIED));
    let (mut tried, mut last) = (0, (0, String::new()));
    for number in 0..most {
        let ride = plan.workload.ride(number);
        let day = path::skier_day(ride.resort_day(), ride.skier);
        let before = metres_in(&get(connection, &day).await?);
        let answer = tried_again(
            async || connection.post_ride(&ride).await,
            |answer| judge_ride(answer) == RideVerdict::Again,
        )
        .await?;
        let verdict = judge_ride(&answer);
        if verdict == RideVerdict::Accepted {
            let already_sent = number + 1;
            let lists = await_ride(connection, &ride, patience).await?;
            return Ok(if lists {
                Detected::Lists { already_sent }
            } else {
                Detected::Verticals {
                    already_sent,
                    before,
                }
            });
        }
        last = (answer.status, answer.message().chars().take(200).collect());
        tried = number + 1;
        // Only a rejected ride is known not to be stored.
        if verdict != RideVerdict::Refused {
            break;
        }
    }
    let (status, message) = last;
    Err(PrepareError::Refused {
        tried,
        status,
        message,
    })
}

/// Whether the list of an invalid skier is rejected differently than an unknown list, which means that there are lists. This
/// needs no ride, and so works while no ride is stored.
async fn refuses_skier_zero(
    plan: &Plan,
    connection: &mut Connection,
) -> Result<bool, PrepareError> {
    let list = path::ride_list(
        plan.workload.ride(0).resort_day(),
        plan.workload.ride(0).skier,
    );
    let nobody = list
        .rsplit_once('/')
        .and_then(|(day, _)| day.rsplit_once('/'));
    let Some((skiers, _)) = nobody else {
        return Ok(false);
    };
    let known = get(connection, &format!("{skiers}/0/rides")).await?.status;
    let unknown = get(connection, &format!("{skiers}/0/no-such-list")).await?;
    let unknown = unknown.status;
    Ok(matches!(known, 400 | 422) && known != unknown)
}

async fn get(connection: &mut Connection, path: &str) -> Result<HttpResponse, PrepareError> {
    let asks = async || connection.get(path).await;
    tried_again(asks, |answer| answer.status >= 500).await
}

/// Retries as often as a run, as long as the response is retryable or the connection fails.
async fn tried_again(
    mut asks: impl AsyncFnMut() -> Result<HttpResponse, CallError>,
    again: impl Fn(&HttpResponse) -> bool,
) -> Result<HttpResponse, PrepareError> {
    let mut pauses = Pauses::new();
    loop {
        let answer = asks().await;
        let again = match &answer {
            Ok(answer) => again(answer),
            Err(error) => error.is_retryable(),
        };
        let wish = answer.as_ref().ok().and_then(|answer| answer.retry_after);
        match pauses.next(wish) {
            Some(pause) if again => tokio::time::sleep(pause).await,
            _ => return answer.map_err(PrepareError::Call),
        }
    }
}

/// Waits until a ride is stored; returns whether its list exists.
async fn await_ride(
    connection: &mut Connection,
    ride: &Ride,
    patience: Duration,
) -> Result<bool, PrepareError> {
    let day = path::skier_day(ride.resort_day(), ride.skier);
    let list = path::ride_list(ride.resort_day(), ride.skier);
    let deadline = Instant::now() + patience;
    loop {
        // The vertical first: if it includes a ride, the list must also include it.
        let vertical = connection.get(&day).await.ok();
        let risen = vertical
            .as_ref()
            .and_then(metres_in)
            .is_some_and(|metres| metres > 0);
        let listed = connection.get(&list).await;
        let is_late = Instant::now() >= deadline;
        match listed.map(|answer| answer.status) {
            Ok(200) => return Ok(true),
            Ok(404 | 405) if risen => return Ok(false),
            Err(error) if is_late || !error.is_retryable() => {
                return Err(PrepareError::Call(error));
            }
            Ok(_) if is_late => return Err(PrepareError::NeverStored(patience)),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Known facts about the rides of a run before their verticals are read.
struct Rides {
    rides: u64,
    /// The ride that is already stored.
    tried: Ride,
    /// The vertical of its skier day before it was posted; none if it could not be read.
    before: Option<u64>,
}

async fn read_baseline(
    config: &LoadConfig,
    plan: &Plan,
    of: &Rides,
    patience: Duration,
    progress: &impl Fn(Progress),
    stop: &CancellationToken,
) -> Result<Baseline, PrepareError> {
    let mut days: Vec<SkierDay> = (0..of.rides)
        .map(|number| SkierDay::of(&plan.workload.ride(number)))
        .collect();
    days.sort_unstable();
    days.dedup();
    let tried = days.binary_search(&SkierDay::of(&of.tried)).ok();
    let all = days.len() as u64;
    let mut baseline = Baseline::new(days);
    let mut done = 0;
    let mut pauses = Pauses::new();
    for _ in 0..ROUNDS {
        let unread = baseline.unread();
        if unread.is_empty() {
            break;
        }
        let record_responses = |responses: super::crawl::DayResponses| {
            let metres = responses.vertical.as_ref().and_then(metres_in);
            // That day was read before the probe ride.
            let metres = if Some(responses.at) == tried {
                of.before
            } else {
                metres
            };
            baseline.set(responses.at, metres);
            done += u64::from(metres.is_some());
            if done.is_multiple_of(1000) {
                progress(Progress::Preparing { done, all });
            }
        };
        let end = crawl(
            config,
            unread,
            ReadScope::Vertical,
            patience,
            stop,
            record_responses,
        )
        .await;
        if stop.is_cancelled() {
            return Err(PrepareError::Stopped);
        }
        if end == CrawlEnd::Silent {
            break;
        }
        if !baseline.unread().is_empty()
            && let Some(pause) = pauses.next(None)
        {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(baseline)
}
