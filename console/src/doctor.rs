//! The doctor: checks of everything that the deployment depends on, run by the console on demand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use skilift_core::clock::epoch_ms;

use crate::error::Error;
use crate::view::doctor::Findings;

/// Runs all checks. They are in the program, which knows the whole configuration.
pub type Checks = Arc<dyn Fn() -> BoxFuture<'static, Result<Findings, String>> + Send + Sync>;

/// The checks, and their latest findings.
pub(crate) struct Doctor {
    checks: Checks,
    latest: Mutex<Option<Arc<Checkup>>>,
    /// One run at a time.
    running: tokio::sync::Mutex<()>,
}

/// The findings of one run.
pub(crate) struct Checkup {
    pub(crate) findings: Findings,
    /// When it ended, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
}

impl Doctor {
    pub(crate) fn new(checks: Checks) -> Self {
        Self {
            checks,
            latest: Mutex::default(),
            running: tokio::sync::Mutex::default(),
        }
    }

    /// The latest findings.
    pub(crate) fn latest(&self) -> Option<Arc<Checkup>> {
        let latest = self.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs all checks.
    ///
    /// # Errors
    /// If they are running already, or the configuration cannot be used.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let Ok(_running) = self.running.try_lock() else {
            return Err(Error::conflict(
                "the checks are running already; reload in a moment",
            ));
        };
        let begun = Instant::now();
        let findings = (self.checks)().await.map_err(Error::unavailable)?;
        let checkup = Checkup {
            findings,
            at_ms: epoch_ms(),
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(checkup));
        Ok(())
    }
}
