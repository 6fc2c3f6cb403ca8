//! Notifications to systemd if it sets `NOTIFY_SOCKET`: readiness, status, watchdog and shutdown.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use skilift_core::health::{Health, HealthCheck};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::variable;

/// Interval between two checks for a changed status.
const LOOK: Duration = Duration::from_secs(1);
/// Maximum length of the status in characters; it is one line of `systemctl status`.
const MAX_CHARACTERS: usize = 200;
/// Maximum queued notifications; while systemd does not read, further ones are dropped.
const WAITING: usize = 8;

/// Signals of the shutdown of a process.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// The drain starts.
    pub(crate) draining: CancellationToken,
    /// Maximum duration of the shutdown from then on.
    pub(crate) takes: Duration,
    /// The shutdown is complete.
    pub(crate) end: CancellationToken,
}

/// Notifies systemd until the end; without `NOTIFY_SOCKET` only waits for the end.
pub(crate) async fn keep_informed(check: HealthCheck, ending: Ending) {
    if variable("NOTIFY_SOCKET").is_none() {
        return ending.end.cancelled().await;
    }
    let within = sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
    let send = |notice: &str| sd_notify::notify(&[NotifyState::Custom(notice)]);
    inform(send, within, check, ending).await;
}

/// Sends the status and two watchdog notifications per watchdog timeout `within`.
///
/// This future must run in the main loop of the process. A watchdog notification requires the main loop, the health check and
/// a task of the runtime, so none is sent when the main loop or the health check is stuck, or when all threads of the runtime
/// are blocked.
async fn inform(
    send: impl Fn(&str) -> io::Result<()> + Clone + Send + 'static,
    within: Option<Duration>,
    check: HealthCheck,
    ending: Ending,
) {
    let (notices, leaving) = mpsc::channel(WAITING);
    let mut sending = JoinSet::new();
    sending.spawn(send_all(send, leaving));
    let notices = Notices(notices);

    let mut told = status(&check());
    notices.send(&[NotifyState::Ready, NotifyState::Status(&told)]);
    let mut look = ticks(LOOK);
    let mut watchdog = within.map(|within| ticks(within / 2));
    let mut is_ending = false;
    loop {
        tokio::select! {
            // Biased, so that the end is not handled before the start of the drain.
            biased;
            () = ending.draining.cancelled(), if !is_ending => {
                is_ending = true;
                // The drain may be longer than the unit's `TimeoutStopSec`.
                let takes = u32::try_from(ending.takes.as_micros()).unwrap_or(u32::MAX);
                notices.send(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(takes)]);
            }
            () = ending.end.cancelled() => break,
            () = next(watchdog.as_mut()) => {
                let _answer = check();
                notices.send(&[NotifyState::Watchdog]);
            }
            _ = look.tick() => {
                let now = status(&check());
                if now != told {
                    notices.send(&[NotifyState::Status(&now)]);
                    told = now;
                }
            }
        }
    }
    drop(notices);
    // It fails only on a panic, which is already reported.
    let _ = sending.join_next().await;
}

/// The queue of notifications.
struct Notices(mpsc::Sender<String>);

impl Notices {
    fn send(&self, states: &[NotifyState<'_>]) {
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        // If the queue is full the notification is late anyway, and the watchdog of systemd detects that.
        let _ = self.0.try_send(lines.join("\n"));
    }
}

async fn send_all(
    send: impl Fn(&str) -> io::Result<()> + Clone + Send + 'static,
    mut notices: mpsc::Receiver<String>,
) {
    let mut is_failing = false;
    while let Some(notice) = notices.recv().await {
        // The send may block.
        let send = send.clone();
        let sent = spawn_blocking(move || send(&notice));
        match sent.await.map_err(io::Error::other).flatten() {
            Ok(()) => is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!("cannot notify systemd of the status of this process: {error}");
                }
            }
        }
    }
}

/// The status of a process in one line, without control characters.
fn status(health: &Health) -> String {
    let text = match &health.message {
        Some(message) => format!("{}: {message}", health.status),
        None => health.status.to_string(),
    };
    // A line break would start another notification.
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(MAX_CHARACTERS).collect()
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next tick; never without an interval.
async fn next(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use skilift_core::health::Readiness;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(40);

    /// Whether the signs of life stop: one that was under way may still come, late on a busy machine.
    fn stop(said: &Said) -> bool {
        (0..4).any(|_| {
            let before = said.signs_of_life();
            std::thread::park_timeout(10 * WITHIN);
            said.signs_of_life() == before
        })
    }

    /// The sent notifications.
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<String>>>);

    impl Said {
        /// Sends notifications on a runtime with two threads.
        async fn by(check: HealthCheck, said: Self, ending: Ending) {
            let send = move |notice: &str| {
                said.0.lock().unwrap().push(notice.to_owned());
                Ok(())
            };
            inform(send, Some(WITHIN), check, ending).await;
        }

        fn signs_of_life(&self) -> usize {
            let said = self.0.lock().unwrap();
            said.iter().filter(|notice| *notice == "WATCHDOG=1").count()
        }
    }

    fn ending() -> Ending {
        Ending {
            draining: CancellationToken::new(),
            takes: Duration::from_secs(33),
            end: CancellationToken::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn signs_of_life_end_with_the_health_check_and_with_the_runtime() {
        let (said, ending, stuck) = (Said::default(), ending(), Arc::new(Mutex::new(())));
        let lock = Arc::clone(&stuck);
        let check: HealthCheck = Arc::new(move || {
            drop(lock.lock().unwrap());
            Health::plain(Readiness::Ready)
        });
        let mut process = JoinSet::new();
        process.spawn(Said::by(check, said.clone(), ending.clone()));
        tokio::time::sleep(5 * WITHIN).await;
        assert!(said.signs_of_life() >= 4, "{}", said.signs_of_life());

        // A lock that the check needs is never released.
        let held = stuck.lock().unwrap();
        assert!(stop(&said));
        let before = said.signs_of_life();
        drop(held);
        tokio::time::sleep(5 * WITHIN).await;
        assert!(said.signs_of_life() > before);

        // All threads of the runtime are blocked.
        let mut busy = JoinSet::new();
        for _ in 0..2 {
            busy.spawn(async { std::thread::park_timeout(60 * WITHIN) });
        }
        assert!(stop(&said));
        let before = said.signs_of_life();
        busy.join_all().await;
        tokio::time::sleep(5 * WITHIN).await;
        assert!(said.signs_of_life() > before);
        ending.end.cancel();
        process.join_all().await;
    }

    #[tokio::test]
    async fn even_a_drain_that_takes_no_time_is_told() {
        let (said, ending) = (Said::default(), ending());
        ending.draining.cancel();
        ending.end.cancel();
        let check: HealthCheck = Arc::new(|| Health::plain(Readiness::Draining));
        Said::by(check, said.clone(), ending).await;
        let said = said.0.lock().unwrap().clone();
        let begun = "READY=1\nSTATUS=draining";
        let ends = "STOPPING=1\nEXTEND_TIMEOUT_USEC=33000000";
        assert_eq!(said, [begun, ends]);
    }

    #[test]
    fn a_status_is_one_short_line() {
        let plain = Health::plain(Readiness::Ready);
        assert_eq!(status(&plain), "ready");
        let sly = "Redis is down\nREADY=1\r\nSTOPPING=1";
        let degraded = Health::because(Readiness::Degraded, sly);
        assert_eq!(
            status(&degraded),
            "degraded: Redis is down READY=1  STOPPING=1"
        );
        let long = Health::because(Readiness::Unavailable, "ü".repeat(5000));
        assert_eq!(status(&long).chars().count(), MAX_CHARACTERS);
    }
}
