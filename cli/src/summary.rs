//! The banner and the status line of `skictl up`.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use skilift_core::clock::epoch_ms;
use skilift_core::lifecycle::TaskError;
use skilift_core::queue::Publisher;
use skilift_core::store::Reader;
use skilift_fleet::local::LocalFleet;
use skilift_load::simulation::{DAY_MS, Rate, SimulatedTime, resorts};
use skilift_worker::Counts;
use tokio_util::sync::CancellationToken;

use crate::client::server;
use crate::console::RunningConsole;
use crate::{logging, process};

/// Interval between two updates of the line.
const INTERVAL: Duration = Duration::from_secs(1);

/// What `skictl up` prints when it is ready.
pub(crate) struct Banner<'a> {
    /// URL of the public API.
    pub(crate) api: &'a str,
    pub(crate) console: &'a RunningConsole,
    /// Address of health and metrics.
    pub(crate) private: SocketAddr,
    /// Queue and store.
    pub(crate) data: &'a str,
    /// Rate of the simulated traffic, if there is any.
    pub(crate) simulated: Option<Rate>,
}

impl Banner<'_> {
    pub(crate) fn print(&self) {
        let server = match server::is_ambiguous() {
            true => format!(" --server {}", self.console.url),
            false => String::new(),
        };
        process::print(&self.text(&program(), &server, SimulatedTime::at(epoch_ms())));
    }

    /// `skictl` is how this program was called, and `server` the option that selects its console, if one is required: the
    /// commands can be pasted.
    fn text(&self, skictl: &str, server: &str, now: SimulatedTime) -> String {
        let Self {
            api, private, data, ..
        } = self;
        let console = &self.console.url;
        let login = match (&self.console.login_link, &self.console.login_code) {
            (Some(link), Some(code)) => format!(
                "\x20 web console      {link}  (logs in once, within 10 minutes)\n\
                 \x20 login code       {code}  (once, within 10 minutes; skictl on this machine does not need it)\n"
            ),
            _ => String::new(),
        };
        let traffic = match self.simulated {
            Some(rate) => {
                let SimulatedTime { season, day, .. } = now;
                let [first, .., last] = resorts();
                format!(
                    "\x20 simulated rides  {}/s of resorts {first} to {last}, now season {season}, day {day}; a day takes {} minutes\n",
                    rate.get(),
                    DAY_MS / 60_000
                )
            }
            None => String::new(),
        };
        let stats = match self.simulated {
            Some(_) => {
                let (resort, SimulatedTime { season, day, .. }) = (resorts()[0], now);
                format!("{skictl} stats resort {resort} --season {season} --day {day}")
            }
            None => format!("{skictl} stats resorts"),
        };
        let ride = format!("{api}/skiers/1/seasons/2026/days/1/skiers/123");
        format!(
            "\nSkilift is ready. Ctrl-C drains and stops it; data is kept.\n\n\
             \x20 API              {api}\n\
             \x20 OpenAPI document {api}/openapi.json\n\
             \x20 admin API        {console}\n\
             {login}\
             \x20 queue and store  {data}\n\
             \x20 health, metrics  http://{private}/readyz  http://{private}/metrics\n\
             {traffic}\n\
             Watch the queue, and query what is stored:\n\n\
             \x20 {skictl} queue --watch{server}\n\
             \x20 {stats}{server}\n\n\
             Record a ride of skier 123, then get the skier's vertical of that day. It is readable some tens of milliseconds after its 201:\n\n\
             \x20 curl -i -H 'Content-Type: application/json' -d '{{\"time\": 217, \"liftID\": 21}}' {ride}\n\
             \x20 until curl -sf {ride}; do sleep 0.1; done; echo\n\n"
        )
    }
}

/// How this program was called.
fn program() -> String {
    let name = std::env::args().next();
    name.unwrap_or_else(|| "skictl".to_owned())
}

/// Source of the figures of stored rides.
pub(crate) enum Stored {
    /// The counters of the worker in this process.
    Here(Arc<Counts>),
    /// The reconciliation counters of all workers of the stack, since the first read, and the child processes of this
    /// process.
    InBooks {
        reader: Arc<dyn Reader>,
        children: Arc<LocalFleet>,
        /// The counters at the first read.
        before: Option<Figures>,
    },
}

/// Numbers of rides by result.
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
        let books = reader.reconciliation().await.ok()?;
        let now = Figures {
            applied: books.applied,
            duplicate: u64::try_from(books.duplicate()).unwrap_or(0),
            dead: books.dead,
        };
        Some(now.since(*before.get_or_insert(now)))
    }

    /// Number of running child workers, if workers are child processes.
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
    /// The increase since `before`; 0 if the store was emptied.
    fn since(self, before: Self) -> Self {
        Self {
            applied: self.applied.saturating_sub(before.applied),
            duplicate: self.duplicate.saturating_sub(before.duplicate),
            dead: self.dead.saturating_sub(before.dead),
        }
    }
}

/// Shows the status in one line on a terminal until `end`; shows nothing if stderr is not a terminal.
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
            "accepted {} ({:.0}/s)  stored {}{stored_rate}  backlog {}  duplicates {}  dead letters {}{}",
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
