//! One look a second at everything, for everybody who asks: a question costs no more than handing out what was put together.
//!
//! - `sources`: what is asked over the network, each by itself, so that one that does not answer holds up nothing else.
//! - `queue`, `books`, `nodes`, `alarms`: what is made of it. `others`: whether another console changes the same.

mod alarms;
mod books;
mod nodes;
mod others;
mod queue;
mod sources;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use skilift_core::lifecycle::TaskError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::history::History;
use crate::lag::{Backlogs, Oldest};
use crate::lives::{Lives, OWN_LANES};
use crate::registry::{FORGOTTEN_AFTER_MS, Kept, Registry};
use crate::state::ConsoleState;
use crate::verdict::Verdicts;
use crate::view::nodes::NodesView;
use crate::view::queue::{HistoryPoint, HistoryView, QueueView};
use others::Others;
use sources::Sources;

/// How often all is put together.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often what was heard of the lanes is written.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// How often finished lane lives are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(3600);

/// What the console's clock shows when it starts, so that what was heard of nodes before has a time on it.
const START_MS: u64 = 2 * FORGOTTEN_AFTER_MS;
/// Until then nothing was heard because nobody listened yet.
const BEGIN_LISTENING_MS: u64 = 3_000;

/// What was seen at one moment.
pub(crate) struct Snapshot {
    pub(crate) queue: QueueView,
    pub(crate) nodes: NodesView,
    /// Both as JSON: hundreds may ask in a second.
    pub(crate) queue_json: Vec<u8>,
    pub(crate) nodes_json: Vec<u8>,
}

/// What is observed, and the last that was made of it.
pub(crate) struct Observed {
    latest: RwLock<Option<Arc<Snapshot>>>,
    watched: Mutex<Watched>,
    sources: Mutex<Sources>,
    started: Instant,
}

/// What is followed from one look to the next.
struct Watched {
    registry: Registry,
    kept: Kept,
    others: Others,
    lives: Lives,
    history: History,
    verdicts: Verdicts,
    backlogs: Backlogs,
    oldest: Oldest,
}

impl Observed {
    pub(crate) fn open(state: &ConsoleState) -> Result<Self, DiskError> {
        let mut registry = Registry::default();
        let kept = Kept::open(state.table("nodes")?, &mut registry, START_MS, epoch_ms())?;
        Ok(Self {
            latest: RwLock::default(),
            watched: Mutex::new(Watched {
                registry,
                kept,
                others: Others::default(),
                lives: Lives::open(state.table("lives")?)?,
                history: History::open(state.table("minutes")?)?,
                verdicts: Verdicts::default(),
                backlogs: Backlogs::default(),
                oldest: Oldest::default(),
            }),
            sources: Mutex::default(),
            started: Instant::now(),
        })
    }

    /// What was seen last; `None` in the moment before the first look.
    pub(crate) fn latest(&self) -> Option<Arc<Snapshot>> {
        self.latest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How it was.
    pub(crate) fn history(&self, step_s: u64, since_ms: u64) -> HistoryView {
        self.watched().history.since(step_s, since_ms)
    }

    /// Milliseconds by a clock that only goes forward: [`START_MS`] when the console started.
    fn now(&self) -> u64 {
        let ran_ms = u64::try_from(self.started.elapsed().as_millis());
        ran_ms.map_or(u64::MAX, |ran_ms| ran_ms.saturating_add(START_MS))
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks until `drain`.
pub(crate) async fn run(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let watching = async {
        let (looked, (), (), ()) = tokio::join!(
            look_each_second(&console),
            sources::hear(&console),
            sources::gauge(&console),
            sources::read_books(&console),
        );
        looked
    };
    let ended = drain.run_until_cancelled(watching).await;
    // What was heard of the lanes is what the next console holds the books against.
    write(&console, Changes::default()).await?;
    ended.unwrap_or(Ok(()))
}

async fn look_each_second(console: &Console) -> Result<(), TaskError> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut written, mut forgotten) = (Instant::now(), Instant::now());
    loop {
        ticks.tick().await;
        let changes = look(console)?;
        if !changes.is_empty() || written.elapsed() >= WRITE_INTERVAL {
            written = Instant::now();
            write(console, changes).await?;
        }
        if forgotten.elapsed() >= FORGET_INTERVAL {
            forgotten = Instant::now();
            forget_finished(console).await?;
        }
    }
}

/// Puts together what is known now, makes it a part of the history, and returns what is to be written of that.
fn look(console: &Console) -> Result<Changes, DiskError> {
    let point = refresh(console)?;
    Ok(console.observed.watched().history.add(point))
}

/// Puts together what is known now: also between two looks, when something was changed and whoever did it asks next.
pub(crate) fn refresh(console: &Console) -> Result<HistoryPoint, DiskError> {
    let observed = &console.observed;
    let now = observed.now();
    let audit = console.state.audit_before(u64::MAX, others::MOST_LINES)?;
    let mut watched = observed.watched();
    let mut sources = observed.sources();
    let at = queue::At {
        now,
        epoch_ms: epoch_ms(),
    };
    watched.others.look(&audit, now);
    watched.registry.look(now);
    sources.notice(watched.registry.is_deaf(now), now - START_MS);
    let told = console.sources.letters.confirmed();
    watched.lives.hear(OWN_LANES, &told, at.epoch_ms);
    console.roster.set(watched.registry.roster(now));
    let nodes = nodes::view(console, &watched.registry, &sources, &at);
    let queue = queue::view(console, &mut watched, &sources, &at);
    drop(sources);
    drop(watched);
    let point = queue::point(&queue);
    let json = |view: serde_json::Result<Vec<u8>>| view.unwrap_or_default();
    let snapshot = Snapshot {
        // Names, numbers and text always serialise.
        queue_json: json(serde_json::to_vec(&queue)),
        nodes_json: json(serde_json::to_vec(&nodes)),
        queue,
        nodes,
    };
    *observed
        .latest
        .write()
        .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
    Ok(point)
}

async fn write(console: &Console, mut changes: Changes) -> Result<(), DiskError> {
    {
        let now = console.observed.now();
        let mut watched = console.observed.watched();
        let Watched { registry, kept, .. } = &mut *watched;
        changes.append(kept.take_changes(registry, now, epoch_ms()));
        changes.append(watched.lives.take_changes());
    }
    if changes.is_empty() {
        return Ok(());
    }
    let doing = "write what was observed";
    console.state.commit(doing, changes, Vec::new()).await
}

/// Lets go of lane lives that ended long ago and of which nothing is missing.
async fn forget_finished(console: &Console) -> Result<(), DiskError> {
    if console.config.read_only {
        return Ok(());
    }
    let finished = console.observed.watched().lives.finished(epoch_ms());
    for life in finished {
        // One by one, so that it is known which are gone.
        match console.sources.reader.forget_lanes(&[life]).await {
            Ok(0) => {}
            Ok(_) => {
                let changes = console.observed.watched().lives.forget(&[life]);
                let doing = "forget a finished lane";
                console.state.commit(doing, changes, Vec::new()).await?;
            }
            Err(error) => {
                tracing::debug!("finished lanes are not forgotten yet: {error}");
                return Ok(());
            }
        }
    }
    Ok(())
}
