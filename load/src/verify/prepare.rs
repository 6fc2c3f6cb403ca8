//! Before a run: how this server can be asked what became of the rides.

use std::time::{Duration, Instant};

use skilift_core::ride::Ride;
use tokio_util::sync::CancellationToken;

use super::crawl::{Ask, CrawlEnd, crawl};
use super::lists::told;
use super::skier_days::SkierDay;
use super::verticals::Baseline;
use crate::connection::{Answer, CallError, Connection};
use crate::judge::{RideVerdict, judge_ride};
use crate::path;
use crate::plan::{ConfigError, LoadConfig, Plan};
use crate::retry::Pauses;
use crate::run::Progress;

/// Rides that are tried before a server is taken to refuse all of them.
const TRIED: u64 = 100;
/// How often a stored ride is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most rides whose skier days are read before the run.
const MOST_BY_VERTICALS: u64 = 20_000_000;
/// How often a skier day that gives no answer is asked again.
const ROUNDS: usize = 5;

/// How a run will be verified.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    /// Rides that were posted to find out, the last one accepted; none where it was seen without.
    pub(crate) already_sent: u64,
}

/// How a server is asked.
#[derive(Debug)]
pub(crate) enum Method {
    /// It lists rides.
    Lists,
    /// It tells verticals, which were these before.
    Verticals(Baseline),
}

/// Why a run cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A question got no answer.
    #[error("the target does not answer")]
    Call(#[source] CallError),
    /// No ride to try with.
    #[error(
        "the target accepted none of the first {tried} rides; the last answer was {status}: {message}"
    )]
    Refused {
        /// How many were tried.
        tried: u64,
        /// The status of the last answer.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The ride that was tried never showed up.
    #[error(
        "a ride that the target accepted did not show up within {0:?}, neither in a list of rides nor in a day vertical"
    )]
    NeverStored(Duration),
    /// The rides of the run are not known before.
    #[error(
        "the target lists no rides, so that day verticals must be read before the run, and it must be known which: give the run a number of rides or a rate"
    )]
    RidesUnknown,
    /// Too many to read before.
    #[error(
        "the target lists no rides, and the day verticals of {0} rides are too many to read before the run; the most are {MOST_BY_VERTICALS}"
    )]
    TooMany(u64),
    /// The run cannot be meant.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It was stopped.
    #[error("stopped")]
    Stopped,
}

/// Finds out whether the server lists rides; if not, reads the vertical of every skier day that the run will touch.
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
    if rides > MOST_BY_VERTICALS {
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
        /// The vertical of the last of these rides' skier day, before it was posted; none when it could not be read.
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
        let before = told(&get(connection, &day).await?);
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
        let text = String::from_utf8_lossy(&answer.body);
        last = (answer.status, text.chars().take(200).collect());
        tried = number + 1;
        // Only a ride that was refused is known not to be there.
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

/// Whether the list of a skier who cannot be is refused as such, other than a list that there is not: then there are lists.
/// This is seen without a ride, and so while nothing stores any.
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

async fn get(connection: &mut Connection, path: &str) -> Result<Answer, PrepareError> {
    let asks = async || connection.get(path).await;
    tried_again(asks, |answer| answer.status >= 500).await
}

/// Tries as often as a run does, as long as an answer is to be had again or the connection fails.
async fn tried_again(
    mut asks: impl AsyncFnMut() -> Result<Answer, CallError>,
    again: impl Fn(&Answer) -> bool,
) -> Result<Answer, PrepareError> {
    let mut pauses = Pauses::new();
    loop {
        let answer = asks().await;
        let again = match &answer {
            Ok(answer) => again(answer),
            Err(error) => error.is_connection_trouble(),
        };
        let wish = answer.as_ref().ok().and_then(|answer| answer.retry_after);
        match pauses.next(wish) {
            Some(pause) if again => tokio::time::sleep(pause).await,
            _ => return answer.map_err(PrepareError::Call),
        }
    }
}

/// Waits until a ride is there; says whether its list answers.
async fn await_ride(
    connection: &mut Connection,
    ride: &Ride,
    patience: Duration,
) -> Result<bool, PrepareError> {
    let day = path::skier_day(ride.resort_day(), ride.skier);
    let list = path::ride_list(ride.resort_day(), ride.skier);
    let deadline = Instant::now() + patience;
    loop {
        // The vertical first: where it tells of a ride, the list must, too.
        let vertical = connection.get(&day).await.ok();
        let risen = vertical
            .as_ref()
            .and_then(told)
            .is_some_and(|metres| metres > 0);
        let listed = connection.get(&list).await;
        let is_late = Instant::now() >= deadline;
        match listed.map(|answer| answer.status) {
            Ok(200) => return Ok(true),
            Ok(404 | 405) if risen => return Ok(false),
            Err(error) if is_late || !error.is_connection_trouble() => {
                return Err(PrepareError::Call(error));
            }
            Ok(_) if is_late => return Err(PrepareError::NeverStored(patience)),
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// What is known of the rides of a run before their verticals are read.
struct Rides {
    rides: u64,
    /// The ride that is there already.
    tried: Ride,
    /// The vertical of its skier day, before it was posted; none when it could not be read.
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
        let hear = |heard: super::crawl::Heard| {
            let metres = heard.vertical.as_ref().and_then(told);
            // That day was read before the ride that was tried.
            let metres = if Some(heard.at) == tried {
                of.before
            } else {
                metres
            };
            baseline.set(heard.at, metres);
            done += u64::from(metres.is_some());
            if done.is_multiple_of(1000) {
                progress(Progress::Preparing { done, all });
            }
        };
        let end = crawl(config, unread, Ask::Vertical, patience, stop, hear).await;
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
