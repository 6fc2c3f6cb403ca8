//! What became of replayed dead letters.

use std::time::{Duration, Instant};

use skilift_core::embedded::DiskError;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::view::dead_letters::DeadLetterState;
use crate::view::figures::grouped;

/// How long the outcome is waited for.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long dead letters may take from their queue to the console's store.
const ARRIVAL: Duration = Duration::from_secs(3);
/// How often the counts are read again.
const INTERVAL: Duration = Duration::from_millis(250);
/// The outcome without counts to compare.
const UNKNOWN: &str = "outcome unknown: the workers' counts cannot be read";

/// Lines of replayed dead letters that are settled, and lines that became dead letters, as counted by the workers.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    replayed: u64,
    dead: u64,
}

impl Counted {
    /// The counts; `None` while they cannot be read.
    pub(super) fn now(console: &Console) -> Option<Self> {
        let latest = console.monitor.latest()?;
        let counts = &latest.queue.reconciliation;
        Some(Self {
            replayed: counts.replayed.value?,
            dead: counts.dead_letters.value?,
        })
    }
}

/// Waits until the dead letters with these numbers, which were sent after `before` was counted, are stored or dead-lettered again,
/// and says how many of them are. Without counts to compare, it says that this is unknown.
///
/// # Errors
/// If the store of dead letters cannot be read.
pub(super) async fn of_sent(
    console: &Console,
    numbers: &[u64],
    before: Option<Counted>,
    cancel: &CancellationToken,
) -> Result<String, DiskError> {
    let sent = numbers.len() as u64;
    let (mut settled, mut dead, mut why, mut is_known) = (0, 0, None, true);
    let began = Instant::now();
    while settled < sent {
        let counts = before.zip(Counted::now(console));
        is_known = counts.is_some();
        if let Some((before, now)) = counts {
            settled = now.replayed.saturating_sub(before.replayed).min(sent);
            dead = now.dead.saturating_sub(before.dead).min(sent);
        }
        why = hindrance(console);
        let is_over = why.is_some() || began.elapsed() > TIMEOUT;
        if is_over
            || cancel
                .run_until_cancelled(tokio::time::sleep(INTERVAL))
                .await
                .is_none()
        {
            break;
        }
    }
    if !is_known {
        return Ok(UNKNOWN.to_owned());
    }
    let settled_at = Instant::now();
    let mut again = dead_again(console, numbers).await?;
    while again < dead && settled_at.elapsed() < ARRIVAL {
        tokio::time::sleep(INTERVAL).await;
        again = dead_again(console, numbers).await?;
    }
    let stored = settled.saturating_sub(again);
    let mut parts = vec![format!("{} stored", grouped(stored))];
    if again > 0 {
        parts.push(format!("{} dead-lettered again", grouped(again)));
    }
    let waiting = sent.saturating_sub(stored + again);
    if waiting > 0 {
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        parts.push(format!("{} not processed yet{why}", grouped(waiting)));
    }
    Ok(parts.join(", "))
}

/// Why no worker processes what was sent.
fn hindrance(console: &Console) -> Option<&'static str> {
    let latest = console.monitor.latest()?;
    if latest.queue.paused.is_some() {
        return Some("consumption is paused");
    }
    (latest.queue.utilisation.worker.nodes == 0).then_some("no worker is up")
}

/// How many of these dead letters are dead now.
async fn dead_again(console: &Console, numbers: &[u64]) -> Result<u64, DiskError> {
    let mut dead = 0;
    for page in numbers.chunks(500) {
        for number in page {
            let state = console.dead_letters.state(*number)?;
            dead += u64::from(state == Some(DeadLetterState::Dead));
        }
        tokio::task::yield_now().await;
    }
    Ok(dead)
}
