//! What is asked over the network: heartbeats, the queue's depth, the books. Each is asked by itself, again and again.

use std::time::Duration;

use skilift_core::books::Books;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{ControlError, Heartbeat};
use skilift_core::lifecycle::chain;
use skilift_core::queue::depth::Depth;
use tokio::sync::mpsc;

use crate::console::Console;
use crate::view::Reading;

/// How often each is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the way to the nodes may take to answer.
const ECHO_PATIENCE: Duration = Duration::from_secs(2);
/// What was read longer ago is not known any more.
const FRESH_MS: u64 = 5_000;

/// What was read last.
#[derive(Default)]
pub(super) struct Sources {
    /// Why heartbeats are not heard, as noticed at the last look.
    pub(super) deaf: Option<String>,
    /// What went wrong last on the way to the nodes, while nothing has gone well since.
    trouble: Option<String>,
    pub(super) depth: Latest<Depth>,
    pub(super) books: Latest<Books>,
}

impl Sources {
    /// Notices whether heartbeats are heard. A console that has only just started (`ran_ms`) has not listened yet.
    pub(super) fn notice(&mut self, is_deaf: bool, ran_ms: u64) {
        let begins = self.trouble.is_none() && ran_ms < super::BEGIN_LISTENING_MS;
        let silent = || "the way to the nodes does not answer".to_owned();
        let why = (is_deaf && !begins).then(|| self.trouble.clone().unwrap_or_else(silent));
        match (&self.deaf, &why) {
            (None, Some(why)) => tracing::warn!("heartbeats are not heard: {why}"),
            (Some(_), None) => tracing::info!("heartbeats are heard again"),
            _ => {}
        }
        self.deaf = why;
    }
}

/// What was read last, when, and why it was not read again.
pub(super) struct Latest<T> {
    read: Option<(T, u64)>,
    failure: Option<String>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self {
            read: None,
            failure: None,
        }
    }
}

impl<T> Latest<T> {
    fn take(&mut self, answer: Result<T, String>, now: u64) {
        match answer {
            Ok(read) => {
                self.read = Some((read, now));
                self.failure = None;
            }
            Err(why) => self.failure = Some(why),
        }
    }

    /// What is known, and since when; or why nothing is.
    pub(super) fn known(&self, now: u64) -> Result<(&T, u64), (String, Option<u64>)> {
        let age = |at: &u64| now.saturating_sub(*at);
        match (&self.read, &self.failure) {
            (Some((_, at)), Some(why)) => Err((why.clone(), Some(age(at)))),
            (Some((read, at)), None) if age(at) <= FRESH_MS => Ok((read, age(at))),
            (Some((_, at)), None) => Err(("it does not answer".to_owned(), Some(age(at)))),
            (None, Some(why)) => Err((why.clone(), None)),
            (None, None) => Err(("it was not asked yet".to_owned(), None)),
        }
    }

    /// A number of what is known.
    pub(super) fn reading<N>(&self, now: u64, number: impl Fn(&T) -> N) -> Reading<N> {
        match self.known(now) {
            Ok((read, age)) => Reading::of(number(read), age),
            Err((why, age_ms)) => Reading {
                age_ms,
                ..Reading::unknown(why)
            },
        }
    }
}

/// Hears heartbeats, for ever.
pub(super) async fn hear(console: &Console) {
    let observed = &console.observed;
    loop {
        let listening = tokio::time::timeout(PATIENCE, console.sources.plane.heartbeats()).await;
        let why = match listening {
            Ok(Ok(heard)) => {
                works(console);
                listen(console, heard).await
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        observed.watched().registry.cannot_hear();
        observed.sources().trouble = Some(why);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Takes heartbeats until the way is lost, and returns why it was. A way that stalls is not lost, and brings nothing: so it is
/// asked something each second, and only while it answers does a node's silence say anything.
async fn listen(console: &Console, mut heard: mpsc::Receiver<Heartbeat>) -> String {
    let observed = &console.observed;
    let asking = async {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let asked = tokio::time::timeout(ECHO_PATIENCE, console.sources.plane.document());
            match asked.await {
                // What it says is somebody else's business.
                Ok(Ok(_) | Err(ControlError::Unreadable { .. })) => works(console),
                Ok(Err(error)) => observed.sources().trouble = Some(chain(&error)),
                Err(_) => observed.sources().trouble = None,
            }
        }
    };
    let hearing = async {
        while let Some(heartbeat) = heard.recv().await {
            let (now, epoch_ms) = (observed.now(), epoch_ms());
            console.desired.learn_flags(&heartbeat);
            let mut watched = observed.watched();
            if let Report::Api(api) = &heartbeat.report {
                let publisher = heartbeat.node.to_string();
                watched.lives.hear(&publisher, &api.confirmed, epoch_ms);
            }
            watched.registry.hear(heartbeat, now, epoch_ms);
        }
    };
    tokio::select! {
        () = hearing => {}
        () = asking => {}
    }
    "the connection was lost".to_owned()
}

/// Notes that the way to the nodes works.
fn works(console: &Console) {
    let observed = &console.observed;
    let now = observed.now();
    observed.watched().registry.can_hear(now);
    observed.sources().trouble = None;
}

/// Looks how much waits, for ever.
pub(super) async fn gauge(console: &Console) {
    loop {
        let asked = tokio::time::timeout(PATIENCE, console.sources.depth.depth()).await;
        let answer = match asked {
            Ok(depth) => depth.map_err(|error| chain(&error)),
            Err(_) => Err(format!(
                "the queue did not answer within {} s",
                PATIENCE.as_secs()
            )),
        };
        let now = console.observed.now();
        console.observed.sources().depth.take(answer, now);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Reads the books, for ever.
pub(super) async fn read_books(console: &Console) {
    loop {
        let asked = tokio::time::timeout(PATIENCE, console.sources.reader.books()).await;
        let answer = match asked {
            Ok(books) => books.map_err(|error| chain(&error)),
            Err(_) => Err(format!(
                "the store did not answer within {} s",
                PATIENCE.as_secs()
            )),
        };
        let now = console.observed.now();
        console.observed.sources().books.take(answer, now);
        tokio::time::sleep(INTERVAL).await;
    }
}
