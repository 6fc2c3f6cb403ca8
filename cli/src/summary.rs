//! What `skictl up` tells whoever started it: where it is, and how it goes.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use skilift_core::lifecycle::TaskError;
use skilift_core::queue::Publisher;
use skilift_core::store::Reader;
use skilift_fleet::local::LocalFleet;
use skilift_worker::Counts;
use tokio_util::sync::CancellationToken;

use crate::console::RunningConsole;
use crate::{logging, process};

/// How often the line changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Prints where everything is.
pub(crate) fn greet(api: &str, console: &RunningConsole, private: SocketAddr, data: &str) {
    let code = match &console.login_code {
        Some(code) => format!(
            "\x20 login code       {code}  (once, within 10 minutes; on this machine skictl needs none)\n"
        ),
        None => String::new(),
    };
    let console = &console.url;
    let ride = format!("{api}/skiers/1/seasons/2026/days/1/skiers/123");
    let text = format!(
        "\nSkilift is ready. Ctrl-C drains and stops it; its data stay.\n\n\
         \x20 API              {api}\n\
         \x20 its description  {api}/openapi.json\n\
         \x20 console          {console}\n\
         {code}\
         \x20 queue and store  {data}\n\
         \x20 health, metrics  http://{private}/readyz  http://{private}/metrics\n\n\
         Record a ride of skier 123, then ask for his vertical of that day:\n\n\
         \x20 curl -i -H 'Content-Type: application/json' -d '{{\"time\": 217, \"liftID\": 21}}' {ride}\n\
         \x20 curl {ride}\n\n\
         See what is there:\n\n\
         \x20 curl {api}/resorts\n\
         \x20 curl {api}/statistics\n\n"
    );
    process::print(&text);
}

/// What is known of the stored rides.
pub(crate) enum Stored {
    /// What the worker of this process says.
    Here(Arc<Counts>),
    /// What all workers of the stack have written in the books, since the first look; and those that are children of this
    /// process.
    InBooks {
        reader: Arc<dyn Reader>,
        children: Arc<LocalFleet>,
        /// What stood there then.
        before: Option<Figures>,
    },
}

/// Rides by what became of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    applied: u64,
    duplicate: u64,
    dead: u64,
}

impl Stored {
    /// The figures; `None` while they are not known.
    async fn figures(&mut self) -> Option<Figures> {
        let (reader, before) = match self {
            Self::Here(counts) => {
                return Some(Figures {
                    applied: counts.applied(),
                    duplicate: counts.duplicate(),
                    dead: counts.dead(),
                });
            }
            Self::InBooks { reader, before, .. } => (reader, before),
        };
        let books = reader.books().await.ok()?;
        let now = Figures {
            applied: books.applied,
            duplicate: u64::try_from(books.duplicate()).unwrap_or(0),
            dead: books.dead,
        };
        Some(now.since(*before.get_or_insert(now)))
    }

    /// How many children work, where they do.
    fn workers(&self) -> String {
        match self {
            Self::Here(_) => String::new(),
            Self::InBooks { children, .. } => {
                let (running, wanted) = children.running("worker");
                format!("  workers {running} of {wanted}")
            }
        }
    }
}

impl Figures {
    /// What came since; nothing where a store was emptied.
    fn since(self, before: Self) -> Self {
        Self {
            applied: self.applied.saturating_sub(before.applied),
            duplicate: self.duplicate.saturating_sub(before.duplicate),
            dead: self.dead.saturating_sub(before.dead),
        }
    }
}

/// Shows how it goes in one line on a terminal, until `end`; shows nothing elsewhere.
pub(crate) async fn show(
    publisher: Publisher,
    mut stored: Stored,
    end: CancellationToken,
) -> Result<(), TaskError> {
    if !io::stderr().is_terminal() {
        end.cancelled().await;
        return Ok(());
    }
    let line = logging::BARS.add(ProgressBar::new_spinner());
    line.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let mut before = (Instant::now(), publisher.accepted());
    let mut stored_before = match end.run_until_cancelled(stored.figures()).await {
        Some(figures) => figures.map(|figures| figures.applied),
        None => return Ok(()),
    };
    while let Some(figures) = end.run_until_cancelled(next(&mut stored)).await {
        let now = (Instant::now(), publisher.accepted());
        let a_second = now.0.duration_since(before.0).as_secs_f64().recip();
        let waiting = publisher.backlog().rides().map(|rides| rides as u64);
        let count = |number: Option<u64>| {
            number.map_or("unknown".to_owned(), |number| {
                HumanCount(number).to_string()
            })
        };
        let applied = figures.map(|figures| figures.applied);
        let stored_rate = applied
            .zip(stored_before)
            .map_or(String::new(), |(now, before)| {
                let rides: u64 = now.saturating_sub(before);
                format!(" ({:.0}/s)", rides as f64 * a_second)
            });
        line.set_message(format!(
            "accepted {} ({:.0}/s)  stored {}{stored_rate}  waiting {}  sent twice {}  dead {}{}",
            HumanCount(now.1),
            (now.1 - before.1) as f64 * a_second,
            count(applied),
            count(waiting),
            count(figures.map(|figures| figures.duplicate)),
            count(figures.map(|figures| figures.dead)),
            stored.workers(),
        ));
        line.tick();
        (before, stored_before) = (now, applied);
    }
    line.finish_and_clear();
    Ok(())
}

/// The figures after the next interval.
async fn next(stored: &mut Stored) -> Option<Figures> {
    tokio::time::sleep(INTERVAL).await;
    stored.figures().await
}
