//! The instances, from the last listing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use skilift_fleet::Fleet;
use skilift_fleet::instance::Instance;
use skilift_fleet::outcome::{FleetError, OutcomeCode};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::Error;
use crate::view::plan::StepCode;

/// Error text if there is no fleet.
const NO_FLEET: &str = "no instances to start or stop: with a data directory everything runs in one process; use `skictl up` with --amqp-url and --redis-url, or `skictl serve console` on EC2";

/// The instances, from the last listing.
pub(crate) struct Machines {
    pub(super) fleet: Option<Arc<dyn Fleet>>,
    listed: RwLock<Listed>,
    /// Lock of a listing; callers that waited for it share its result.
    listing: Mutex<()>,
}

/// The last listing.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) instances: Arc<[Instance]>,
    /// Time of the last listing.
    pub(super) at: Option<Instant>,
    /// Why a later listing failed, if so.
    failure: Option<FleetError>,
    /// When the first of the failed listings since then was made.
    failing_since: Option<Instant>,
}

impl Listed {
    /// Age of the list, in milliseconds.
    pub(crate) fn age_ms(&self) -> Option<u64> {
        let at = self.at?;
        u64::try_from(at.elapsed().as_millis()).ok()
    }

    /// Whether a console that lists them like this has instances at all: one that never had credentials or a region for them does
    /// not run on EC2.
    fn is_set_up(&self) -> bool {
        let has_credentials = |failure: &FleetError| failure.code != OutcomeCode::Credentials;
        self.at.is_some() || self.failure.as_ref().is_none_or(has_credentials)
    }

    fn unknown(&self) -> Option<String> {
        match (&self.failure, self.at) {
            (Some(error), _) => Some(error.to_string()),
            (None, None) => Some("the first listing is in progress".to_owned()),
            (None, Some(_)) => None,
        }
    }
}

impl Machines {
    pub(crate) fn new(fleet: Option<Arc<dyn Fleet>>) -> Self {
        Self {
            fleet,
            listed: RwLock::new(Listed {
                instances: Arc::default(),
                at: None,
                failure: None,
                failing_since: None,
            }),
            listing: Mutex::default(),
        }
    }

    /// The fleet, if there is one.
    pub(crate) fn fleet(&self) -> Result<&Arc<dyn Fleet>, Error> {
        self.fleet.as_ref().ok_or_else(|| Error::refused(NO_FLEET))
    }

    /// The last listing.
    pub(crate) fn listed(&self) -> Listed {
        let listed = self.listed.read();
        listed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the current state of the instances is unknown, if so.
    pub(crate) fn unknown(&self) -> Option<String> {
        match &self.fleet {
            None => Some(NO_FLEET.to_owned()),
            Some(_) => self.listed().unknown(),
        }
    }

    /// Whether there is a fleet, and credentials to list its instances with.
    pub(crate) fn is_set_up(&self) -> bool {
        self.fleet.is_some() && self.listed().is_set_up()
    }

    /// Why the instances cannot be listed, and for how long already. Where none can be, nothing fails.
    pub(crate) fn failing(&self) -> Option<(String, Duration)> {
        let listed = self.listed();
        let failure = listed.failure.as_ref().filter(|_| listed.is_set_up())?;
        Some((failure.to_string(), listed.failing_since?.elapsed()))
    }

    /// Lists now, if there are instances to list.
    pub(crate) async fn refresh_if_set_up(&self) -> Result<(), Error> {
        match self.refresh().await {
            Err(error) if self.is_set_up() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Lists now.
    pub(crate) async fn refresh(&self) -> Result<Arc<[Instance]>, Error> {
        let fleet = self.fleet()?;
        let asked_at = Instant::now();
        let _listing = self.listing.lock().await;
        let known = self.listed();
        if known.at.is_some_and(|at| at >= asked_at) {
            return Ok(known.instances);
        }
        let found = fleet.list().await;
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(instances) => {
                if listed.failure.take().is_some() {
                    tracing::info!("instances can be listed again");
                }
                listed.failing_since = None;
                listed.instances = instances.into();
                listed.at = Some(Instant::now());
                Ok(Arc::clone(&listed.instances))
            }
            Err(error) => {
                if listed.failure.as_ref() != Some(&error) {
                    tracing::warn!("cannot list instances: {error}");
                }
                listed.failure = Some(error.clone());
                listed.failing_since.get_or_insert_with(Instant::now);
                Err(Error::from(error))
            }
        }
    }
}

impl From<FleetError> for Error {
    fn from(error: FleetError) -> Self {
        let message = format!("cannot list instances: {error}");
        match StepCode::from(error.code) {
            StepCode::Denied | StepCode::Credentials => Self::forbidden(message),
            StepCode::Throttled => Self::too_many(message, 10_000),
            _ => Self::unavailable(message),
        }
    }
}
