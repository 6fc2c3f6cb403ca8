//! One lane: consumes on one channel after another, until the worker drains.

use std::sync::Arc;

use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::queue::rabbit::Broker;
use skilift_core::retry;
use skilift_core::stack::StackName;
use skilift_core::store::batch::Batch;
use skilift_core::store::redis::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::WorkerConfig;
use crate::dead::DeadLetterOffice;
use crate::lane_state::LaneState;
use crate::session::{Interrupted, Session};

/// What a lane works with.
pub(crate) struct Lane {
    pub(crate) config: WorkerConfig,
    pub(crate) broker: Arc<Broker>,
    pub(crate) dead_letter_broker: Arc<Broker>,
    pub(crate) store: Store,
    pub(crate) stack: StackName,
    pub(crate) state: LaneState,
    pub(crate) draining: CancellationToken,
}

impl Lane {
    /// Works until the worker drains.
    pub(crate) async fn run(self) -> Result<(), TaskError> {
        let mut pauses = retry::pauses();
        loop {
            // Nothing is held while a session is being opened, so that a drain need not wait for it.
            let opening = self.draining.run_until_cancelled(self.open());
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

    /// The store first: nothing is taken from the queue that cannot be stored.
    async fn open(&self) -> Result<Session<'_>, Interrupted> {
        self.store
            .writer()
            .await
            .map_err(Interrupted::Unreachable)?;
        Session::open(self).await.map_err(Interrupted::Broker)
    }

    /// Waits for what must work before the lane may consume again. Its messages are back in the queue by now; what is
    /// done here is done again when they come, and changes nothing then.
    async fn recover(&self, why: Interrupted) {
        match why {
            Interrupted::Broker(_) | Interrupted::Unreachable(_) => {}
            // No probe says as much as the batch itself.
            Interrupted::Store { batch, .. } => {
                for pause in retry::pauses() {
                    match self.apply(&batch).await {
                        Ok(()) => return,
                        Err(error) => self.state.hindered(chain(&error)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }
            Interrupted::DeadLetters { mut letters, .. } => {
                let mut office = self.dead_letter_office();
                for pause in retry::pauses() {
                    match office.put_away(&mut letters).await {
                        Ok(()) => return,
                        Err(error) => self.state.hindered(chain(&error)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut writer = self.store.writer().await?;
        writer.apply(batch).await?;
        Ok(())
    }

    pub(crate) fn dead_letter_office(&self) -> DeadLetterOffice {
        DeadLetterOffice::new(Arc::clone(&self.dead_letter_broker), self.stack.clone())
    }
}
