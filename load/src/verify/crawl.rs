//! Reads many skier days concurrently.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skilift_core::ride::Season;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::skier_days::SkierDay;
use crate::connection::{Connection, HttpResponse};
use crate::path;
use crate::plan::LoadConfig;

/// Number of concurrent skier days.
const AT_ONCE: usize = 32;
/// Number of buffered responses.
const WAITING: usize = 256;

/// What is read of each skier day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadScope {
    /// The vertical.
    Vertical,
    /// The list of rides, and then the vertical.
    Both,
}

/// The responses for one skier day.
#[derive(Debug)]
pub(super) struct DayResponses {
    /// Its index among the requested skier days.
    pub(super) at: usize,
    /// `None` if it was not requested, or had no response.
    pub(super) list: Option<HttpResponse>,
    /// `None` if it had no response, or was not requested because the list had none.
    pub(super) vertical: Option<HttpResponse>,
}

/// End of a crawl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrawlEnd {
    /// All skier days were requested, or the crawl was stopped.
    Over,
    /// The target stopped responding.
    Silent,
}

/// Reads each of these skier days once and returns every response. Ends early if stopped, or if the target does not respond
/// for `patience` or the request timeout.
pub(super) async fn crawl(
    config: &LoadConfig,
    days: Vec<(usize, SkierDay)>,
    scope: ReadScope,
    patience: Duration,
    stop: &CancellationToken,
    mut on_response: impl FnMut(DayResponses),
) -> CrawlEnd {
    let season = config.ranges.season;
    let days: Arc<[(usize, SkierDay)]> = days.into();
    let next = Arc::new(AtomicUsize::new(0));
    let (answers, mut received) = mpsc::channel(WAITING);
    // The tasks are aborted on drop.
    let mut reading = JoinSet::new();
    for _ in 0..AT_ONCE.min(days.len()) {
        let mut connection = config.connection();
        let (days, next, answers) = (Arc::clone(&days), Arc::clone(&next), answers.clone());
        reading.spawn(async move {
            while let Some((at, day)) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = read_day(&mut connection, *at, *day, season, scope).await;
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(answers);
    let patience = patience.max(config.timeout);
    let mut last_answer = Instant::now();
    loop {
        tokio::select! {
            answer = received.recv() => match answer {
                Some(answer) => {
                    if answer.list.is_some() || answer.vertical.is_some() {
                        last_answer = Instant::now();
                    }
                    on_response(answer);
                }
                None => return CrawlEnd::Over,
            },
            () = tokio::time::sleep_until(last_answer + patience) => return CrawlEnd::Silent,
            () = stop.cancelled() => return CrawlEnd::Over,
        }
    }
}

async fn read_day(
    connection: &mut Connection,
    at: usize,
    day: SkierDay,
    season: Season,
    scope: ReadScope,
) -> DayResponses {
    let (on, skier) = day.place(season);
    let list = match scope {
        ReadScope::Vertical => None,
        ReadScope::Both => {
            let list = connection.get(&path::ride_list(on, skier)).await.ok();
            if list.is_none() {
                return DayResponses {
                    at,
                    list,
                    vertical: None,
                };
            }
            list
        }
    };
    DayResponses {
        at,
        list,
        vertical: connection.get(&path::skier_day(on, skier)).await.ok(),
    }
}
