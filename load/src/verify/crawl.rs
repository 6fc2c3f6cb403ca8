//! Asks for many skier days at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skilift_core::ride::Season;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::skier_days::SkierDay;
use crate::connection::{Answer, Connection};
use crate::path;
use crate::plan::LoadConfig;

/// Skier days that are asked for at once.
const AT_ONCE: usize = 32;
/// Answers that wait to be looked at.
const WAITING: usize = 256;

/// What is asked of each skier day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The vertical.
    Vertical,
    /// The list of rides, and then the vertical.
    Both,
}

/// What was answered for one skier day.
#[derive(Debug)]
pub(super) struct Heard {
    /// Its place among those that were asked for.
    pub(super) at: usize,
    /// None where it was not asked for, or gave no answer.
    pub(super) list: Option<Answer>,
    /// None where it gave no answer, or was not asked for because the list gave none.
    pub(super) vertical: Option<Answer>,
}

/// How a crawl ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrawlEnd {
    /// All were asked for, or it was stopped.
    Over,
    /// The target gave no answer any more.
    Silent,
}

/// Asks for each of these skier days once, and hands every answer over. Ends early when stopped, and when the target gives
/// no answer at all for so long as `patience`, or as one answer may take.
pub(super) async fn crawl(
    config: &LoadConfig,
    days: Vec<(usize, SkierDay)>,
    ask: Ask,
    patience: Duration,
    stop: &CancellationToken,
    mut hear: impl FnMut(Heard),
) -> CrawlEnd {
    let season = config.ranges.season;
    let days: Arc<[(usize, SkierDay)]> = days.into();
    let next = Arc::new(AtomicUsize::new(0));
    let (answers, mut heard) = mpsc::channel(WAITING);
    // They are aborted when this is dropped.
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE.min(days.len()) {
        let mut connection = Connection::new(config.target.clone(), config.timeout);
        let (days, next, answers) = (Arc::clone(&days), Arc::clone(&next), answers.clone());
        asking.spawn(async move {
            while let Some((at, day)) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = ask_for(&mut connection, *at, *day, season, ask).await;
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
            answer = heard.recv() => match answer {
                Some(answer) => {
                    if answer.list.is_some() || answer.vertical.is_some() {
                        last_answer = Instant::now();
                    }
                    hear(answer);
                }
                None => return CrawlEnd::Over,
            },
            () = tokio::time::sleep_until(last_answer + patience) => return CrawlEnd::Silent,
            () = stop.cancelled() => return CrawlEnd::Over,
        }
    }
}

async fn ask_for(
    connection: &mut Connection,
    at: usize,
    day: SkierDay,
    season: Season,
    ask: Ask,
) -> Heard {
    let (on, skier) = day.place(season);
    let list = match ask {
        Ask::Vertical => None,
        Ask::Both => {
            let list = connection.get(&path::ride_list(on, skier)).await.ok();
            if list.is_none() {
                return Heard {
                    at,
                    list,
                    vertical: None,
                };
            }
            list
        }
    };
    Heard {
        at,
        list,
        vertical: connection.get(&path::skier_day(on, skier)).await.ok(),
    }
}
