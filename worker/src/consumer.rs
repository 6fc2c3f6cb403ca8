//! One consumer: opens one session after another according to its desired settings, until the process drains.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::engine::Engine;
use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::retry;
use tokio_util::sync::CancellationToken;

use crate::consumer_state::ConsumerState;
use crate::consumers::Consumers;
use crate::desired::{ConsumerSettings, DesiredWorkerState};
use crate::session::{Session, SessionError};

/// Time in which the idle consumers of a worker close their channels when the store is away.
const ALL_CLOSED: Duration = Duration::from_millis(500);

/// Dependencies of a consumer.
pub(crate) struct Consumer<E> {
    /// Its number within the worker, from 0.
    pub(crate) number: usize,
    pub(crate) state: ConsumerState,
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) engine: Arc<E>,
    /// Cancelled at shutdown.
    pub(crate) draining: CancellationToken,
}

impl<E: Engine> Consumer<E> {
    /// Consumes or idles according to its desired settings, until the process drains.
    pub(crate) async fn run(self) -> Result<(), TaskError> {
        let mut changes = self.consumers.desired.subscribe();
        while !self.draining.is_cancelled() {
            let desired = Arc::clone(&changes.borrow_and_update());
            let Some(settings) = self.settings_in(&desired) else {
                self.state.becomes_idle(desired);
                self.consumers.became_idle.notify_one();
                // The sender exists as long as this consumer.
                let _ = self.draining.run_until_cancelled(changes.changed()).await;
                continue;
            };
            self.state.starts(desired);
            let stop = self.draining.child_token();
            let working = self.work(settings, &stop);
            tokio::pin!(working);
            loop {
                tokio::select! {
                    ended = &mut working => { ended?; break }
                    Ok(()) = changes.changed(), if !stop.is_cancelled() => {
                        let desired = Arc::clone(&changes.borrow_and_update());
                        if self.settings_in(&desired) == Some(settings) {
                            self.state.goes_on(desired);
                        } else {
                            stop.cancel();
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn settings_in(&self, desired: &DesiredWorkerState) -> Option<ConsumerSettings> {
        (self.number < desired.consumers(self.consumers.most)).then(|| desired.consumer_settings())
    }

    /// Consumes until `stop`, then stores the messages that are already delivered.
    async fn work(
        &self,
        settings: ConsumerSettings,
        stop: &CancellationToken,
    ) -> Result<(), TaskError> {
        let mut pauses = retry::pauses();
        loop {
            // No message is unacked while a session opens, so a stop need not wait for it.
            let opening = stop.run_until_cancelled(async {
                // The sender exists as long as the consumers.
                let mut waiting = self.consumers.waiting_for_store();
                let _ = waiting.wait_for(|waiting| *waiting == 0).await;
                Session::open(self, settings, stop).await
            });
            // Dropped when the store works again, or the consumer stops.
            let mut _waiting = None;
            let ended = match opening.await {
                None => return Ok(()),
                Some(Err(why)) => Err(why),
                Some(Ok(mut session)) => {
                    let ended = session.work().await;
                    if session.has_stored() {
                        pauses = retry::pauses();
                    }
                    if let Err(why) = &ended
                        && why.concerns_all()
                    {
                        _waiting = Some(self.consumers.wait_for_store());
                        // The idle consumers close first: RabbitMQ would deliver to them what is returned now.
                        self.draining
                            .run_until_cancelled(tokio::time::sleep(ALL_CLOSED))
                            .await;
                    }
                    session.close().await;
                    self.state.closed();
                    ended
                }
            };
            let Err(why) = ended else { return Ok(()) };
            if why.is_fatal() {
                return Err(why.into());
            }
            let text = why.to_string();
            self.state.blocked(text.clone());
            if matches!(why, SessionError::StoreIsAway) {
                continue;
            }
            tracing::warn!("a worker thread stopped consuming: {text}");
            metrics::counter!("skilift_worker_interruptions_total").increment(1);
            let recovering = async {
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                self.recover(why).await;
            };
            if stop.run_until_cancelled(recovering).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Waits until the failed operation succeeds, before the consumer starts again. Its messages are back in the queue by now;
    /// repeating the operation when they are redelivered has no effect.
    async fn recover(&self, why: SessionError) {
        match why {
            SessionError::Engine(_) | SessionError::Cancelled | SessionError::StoreIsAway => {}
            // The batch itself is the best probe.
            SessionError::Store { batch, .. } => {
                for pause in retry::pauses() {
                    match self.engine.apply(&batch).await {
                        Ok(()) => return,
                        Err(error) => self.state.blocked(chain(&error)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }
            SessionError::DeadLetters { mut letters, .. } => {
                for pause in retry::pauses() {
                    match self.engine.publish_dead_letters(&mut letters).await {
                        Ok(()) => return,
                        Err(error) => self.state.blocked(chain(&error)),
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
