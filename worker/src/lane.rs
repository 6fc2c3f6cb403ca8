//! One lane: consumes on one channel after another, until the worker drains.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::queue::rabbit::{Broker, BrokerError, DeadLetter, DeadLetters};
use skilift_core::stack::StackName;
use skilift_core::store::redis::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::WorkerConfig;
use crate::lane_state::LaneState;
use crate::session::{Interrupted, Session};

/// What a lane works with.
pub(crate) struct Lane {
    pub(crate) config: WorkerConfig,
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Store,
    pub(crate) stack: StackName,
    pub(crate) state: LaneState,
    pub(crate) draining: CancellationToken,
}

/// Jittered delays between attempts, at most 5 s, without end.
pub(crate) fn retry_delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter()
        .build()
}

impl Lane {
    /// Works until the worker drains.
    pub(crate) async fn run(self) -> Result<(), TaskError> {
        let mut delays = retry_delays();
        while !self.draining.is_cancelled() {
            // The store first: nothing is taken from the queue that cannot be stored.
            let interrupted = match self.wait_for_store().await {
                Ok(()) => match Session::open(&self).await {
                    Ok(mut session) => {
                        self.state.working();
                        let ended = session.work().await;
                        if session.has_stored() {
                            delays = retry_delays();
                        }
                        session.close().await;
                        ended
                    }
                    Err(error) => Err(Interrupted::Broker(error)),
                },
                Err(error) => Err(Interrupted::Store(error)),
            };
            match interrupted {
                Ok(()) => break,
                Err(why) => self.recover(why).await,
            }
            self.pause(delays.next().unwrap_or_default()).await;
        }
        Ok(())
    }

    /// Tells why the lane stopped, and waits for what must be there before it may consume again.
    async fn recover(&self, why: Interrupted) {
        let text = why.to_string();
        tracing::warn!("a worker thread stopped consuming: {text}");
        self.state.hindered(text);
        metrics::counter!("skilift_worker_interruptions_total").increment(1);
        if let Interrupted::DeadLetters { letters, .. } = why {
            self.put_away(&letters).await;
        }
    }

    async fn wait_for_store(&self) -> Result<(), StoreError> {
        self.store.writer().await.map(drop)
    }

    /// Keeps trying to put dead letters away while no message is held. Their message comes again, and puts them away once
    /// more under the same ids.
    async fn put_away(&self, letters: &[DeadLetter]) {
        for delay in retry_delays() {
            if self.draining.is_cancelled() {
                return;
            }
            let attempt = async {
                let queue = DeadLetters::open(&self.broker, &self.stack).await?;
                for letter in letters {
                    queue.put(letter).await?;
                }
                Ok::<(), skilift_core::queue::rabbit::dead_letters::DeadLetterError>(())
            };
            match attempt.await {
                Ok(()) => return,
                Err(error) => self.state.hindered(chain(&error)),
            }
            self.pause(delay).await;
        }
    }

    async fn pause(&self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.draining.cancelled() => {}
        }
    }
}

impl From<BrokerError> for Interrupted {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}
