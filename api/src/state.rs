//! The shared state of all handlers.

use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::health::{Health, Readiness};
use skilift_core::packed::Boarding;
use skilift_core::queue::Publisher;
use skilift_core::ride::ResortId;
use skilift_core::store::Reader;
use skilift_core::store::leaders::Leaders;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::ingest::{Authorizer, IngestPolicy};
use crate::node::{Node, upload_places};
use crate::readiness::ReadinessState;
use crate::statistics::Statistics;

/// The shared state.
pub type Api = Arc<ApiState>;

/// The publisher, the store and the state of one API.
pub struct ApiState {
    pub(crate) publisher: Publisher,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) catalogue: Catalogue,
    pub(crate) leaders: Leaders,
    pub(crate) statistics: Statistics,
    pub(crate) readiness: ReadinessState,
    pub(crate) node: Node,
    pub(crate) authorizer: Authorizer,
    /// One permit for each ride that all uploads together may have in flight.
    pub(crate) upload_places: Semaphore,
    /// Cancelled at shutdown.
    pub(crate) draining: CancellationToken,
}

impl ApiState {
    /// Creates an API; `draining` is cancelled at shutdown.
    #[must_use]
    pub fn new(
        publisher: Publisher,
        reader: Arc<dyn Reader>,
        catalogue: Catalogue,
        ingest_policy: IngestPolicy,
        draining: CancellationToken,
    ) -> Self {
        let settings = publisher.settings();
        Self {
            node: Node::new(settings),
            authorizer: Authorizer::new(ingest_policy),
            upload_places: Semaphore::new(upload_places(settings) as usize),
            publisher,
            reader,
            catalogue,
            leaders: Leaders::default(),
            statistics: Statistics::default(),
            readiness: ReadinessState::default(),
            draining,
        }
    }

    /// Readiness of this process.
    #[must_use]
    pub fn health(&self) -> Health {
        if let Some(why) = self.node.why_draining() {
            return Health::because(Readiness::Draining, why);
        }
        let health = self.readiness.health(
            self.draining.is_cancelled(),
            &self.publisher,
            self.reader.name(),
        );
        match (health.status, self.authorizer.why_closed()) {
            (Readiness::Ready | Readiness::Degraded, Some(why)) => {
                Health::because(Readiness::Unavailable, why)
            }
            _ => health,
        }
    }

    /// 404: no matching data is stored; the message mentions accepted rides that are still being stored, if there are any.
    pub(crate) fn nothing_stored(&self, message: String) -> ApiError {
        let why = match self.publisher.may_be_storing() {
            false => "",
            true if self.node.is_paused() => {
                "; accepted rides are waiting in the queue, because storing is paused"
            }
            true => "; accepted rides are still being stored, retry in a moment",
        };
        ApiError::NotFound(message + why)
    }

    /// Total vertical of these rides of one resort, in metres.
    pub(crate) fn vertical_m(&self, resort: ResortId, rides: &[Boarding]) -> u64 {
        let rises = rides
            .iter()
            .map(|ride| u64::from(self.catalogue.vertical_m(resort, ride.lift)));
        rises.sum()
    }
}
