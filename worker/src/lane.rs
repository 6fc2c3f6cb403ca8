//! One lane: works on one intake after another, until the worker drains.

use std::sync::Arc;

use skilift_core::engine::Engine;
use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::retry;
use tokio_util::sync::CancellationToken;

use crate::WorkerConfig;
use crate::counts::Counts;
use crate::lane_state::LaneState;
use crate::session::{Interrupted, Session};

/// What a lane works with.
pub(crate) struct Lane<E> {
    pub(crate) config: WorkerConfig,
    pub(crate) engine: Arc<E>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) state: LaneState,
    pub(crate) draining: CancellationToken,
}

impl<E: Engine> Lane<E> {
    /// Works until the worker drains.
    pub(crate) async fn run(self) -> Result<(), TaskError> {
        let mut pauses = retry::pauses();
        loop {
            // Nothing is held while a session is being opened, so that a drain need not wait for it.
            let opening = self.draining.run_until_cancelled(Session::open(&self));
            let ended = match opening.await {
                None => return Ok(()),
                Some(Err(why)) => Err(why),
                Some(Ok(mut session)) => {
                    self.state.working();
                    let ended = session.work().await;
                    if session.has_stored() {
                        pauses = retry::pauses();
                    }
                    session.close().await;
                    ended
                }
            };
            let Err(why) = ended else { return Ok(()) };
            if why.is_fatal() {
                return Err(why.into());
            }
            let text = why.to_string();
            tracing::warn!("a worker thread stopped consuming: {text}");
            metrics::counter!("skilift_worker_interruptions_total").increment(1);
            self.state.hindered(text);
            let recovering = async {
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                self.recover(why).await;
            };
            if self
                .draining
                .run_until_cancelled(recovering)
                .await
                .is_none()
            {
                return Ok(());
            }
        }
    }

    /// Waits for what must work before the lane may consume again. Its messages are back in the queue by now; what is
    /// done here is done again when they come, and changes nothing then.
    async fn recover(&self, why: Interrupted) {
        match why {
            Interrupted::Engine(_) | Interrupted::Cancelled => {}
            // No probe says as much as the batch itself.
            Interrupted::Store { batch, .. } => {
                for pause in retry::pauses() {
                    match self.engine.apply(&batch).await {
                        Ok(()) => return,
                        Err(error) => self.state.hindered(chain(&error)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }
            Interrupted::DeadLetters { mut letters, .. } => {
                for pause in retry::pauses() {
                    match self.engine.put_away(&mut letters).await {
                        Ok(()) => return,
                        Err(error) => self.state.hindered(chain(&error)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
