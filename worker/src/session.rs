//! One session of a consumer: gather a batch, store it, acknowledge it, repeat.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::FutureExt;
use skilift_core::clock::epoch_ms;
use skilift_core::control::Durations;
use skilift_core::engine::{Engine, EngineError, Pipeline};
use skilift_core::lifecycle::chain;
use skilift_core::message::{lines, parse_line};
use skilift_core::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use skilift_core::reconciliation::Settlement;
use skilift_core::retry;
use skilift_core::ride::Ride;
use skilift_core::store::batch::Batch;
use skilift_core::store::{Applied, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::consumer::Consumer;
use crate::decode::{Decoded, count_rides};
use crate::desired::ConsumerSettings;
use crate::prefetch::PrefetchGauge;

/// Maximum time to hold a batch that cannot be stored. After that the channel is closed, so that its messages are requeued
/// once and RabbitMQ's `consumer_timeout` never fires.
const HOLD: Duration = Duration::from_secs(30);
/// A message that was redelivered this often is stored alone, so that it cannot affect other messages.
const ISOLATE_AFTER: u64 = 5;

/// Why a session ended early; unacknowledged messages are redelivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// Queue or store is unreachable; no message is unacked.
    #[error("{}", chain(.0))]
    Engine(#[from] EngineError),
    /// The queue has cancelled the consumer.
    #[error("RabbitMQ cancelled the consumer: the queue was deleted or moved to another node")]
    Cancelled,
    /// Another consumer of this worker waits for the store; no message is unacked.
    #[error("another thread waits for the store; this one takes no messages until then")]
    StoreIsAway,
    /// The store does not accept a batch.
    #[error("{}", chain(.error))]
    Store { batch: Batch, error: StoreError },
    #[error("{}", chain(.error))]
    DeadLetters {
        letters: Vec<DeadLetter>,
        error: DeadLetterError,
    },
}

impl SessionError {
    /// Whether the process must exit: a retry would depend on data that may not be on disk.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_fatal(),
            Self::Cancelled | Self::StoreIsAway => false,
            Self::Store { error, .. } => error.is_fatal(),
            Self::DeadLetters { error, .. } => error.is_fatal(),
        }
    }
}

impl SessionError {
    /// Whether no other consumer could store either.
    pub(crate) fn concerns_all(&self) -> bool {
        matches!(self, Self::Store { error, .. } if error.concerns_all())
    }
}

impl From<QueueError> for SessionError {
    fn from(error: QueueError) -> Self {
        Self::Engine(error.into())
    }
}

/// One session of a consumer.
pub(crate) struct Session<'a, E: Engine> {
    consumer: &'a Consumer<E>,
    settings: ConsumerSettings,
    /// Cancelled when the consumer must stop taking messages.
    stop: &'a CancellationToken,
    pipeline: E::Pipeline,
    gauge: PrefetchGauge,
    /// Messages that have arrived and are in no batch yet, each with the time of its arrival.
    arrived: VecDeque<(Delivery, Instant)>,
    /// How many consumers of this worker wait for the store.
    waiting_for_store: watch::Receiver<usize>,
    /// Whether the consumer is cancelled, to stop or to change the prefetch.
    cancelled: bool,
    has_stored: bool,
}

/// Messages that are stored and acknowledged together, in the order of their delivery tags.
#[derive(Default)]
struct GatheredBatch {
    messages: Vec<Delivery>,
    rides: usize,
    /// Whether the consumer has delivered all its messages.
    exhausted: bool,
}

impl<'a, E: Engine> Session<'a, E> {
    pub(crate) async fn open(
        consumer: &'a Consumer<E>,
        settings: ConsumerSettings,
        stop: &'a CancellationToken,
    ) -> Result<Self, SessionError> {
        let gauge = PrefetchGauge::new(settings.prefetch_rides);
        let pipeline = consumer.engine.open(gauge.messages()).await?;
        consumer.state.consumes(pipeline.prefetch());
        Ok(Self {
            consumer,
            settings,
            stop,
            pipeline,
            gauge,
            arrived: VecDeque::new(),
            waiting_for_store: consumer.consumers.waiting_for_store(),
            cancelled: false,
            has_stored: false,
        })
    }

    /// Whether at least one batch was stored and acknowledged.
    pub(crate) fn has_stored(&self) -> bool {
        self.has_stored
    }

    /// Closes the session; unacknowledged messages are requeued.
    pub(crate) async fn close(self) {
        self.pipeline.close().await;
    }

    /// Runs until the consumer must stop, then stores the messages that are already delivered.
    pub(crate) async fn work(&mut self) -> Result<(), SessionError> {
        loop {
            let gathered = self.gather().await?;
            if let Some(last) = gathered.messages.last() {
                let last_tag = last.tag;
                self.consumer.state.stores();
                self.store(&gathered.messages).await?;
                self.pipeline.ack_up_to(last_tag).await?;
                self.has_stored = true;
                let (messages, rides) = (gathered.messages.len(), gathered.rides);
                self.consumer.state.acked(messages, rides, &self.arrived);
                self.gauge.saw(messages, rides);
            }
            if !gathered.exhausted {
                self.adjust_prefetch().await?;
            } else if self.stop.is_cancelled() {
                return Ok(());
            } else if self.cancelled {
                self.pipeline.resume(self.gauge.messages()).await?;
                self.consumer.state.consumes(self.pipeline.prefetch());
                self.cancelled = false;
            } else {
                return Err(SessionError::Cancelled);
            }
        }
    }

    /// Waits for a message, then gathers messages until the batch is full, contains all that the prefetch allows, or its linger
    /// time is over.
    async fn gather(&mut self) -> Result<GatheredBatch, SessionError> {
        // With a backlog there is always a message that has arrived.
        if self.stop.is_cancelled() && !self.cancelled {
            self.cancel().await?;
        }
        self.take_arrived()?;
        let mut gathered = GatheredBatch::default();
        let mut leave_at = None;
        loop {
            let next = match self.arrived.pop_front() {
                Some(arrived) => Some(arrived),
                None => match self.next(leave_at, gathered.messages.is_empty()).await? {
                    Polled::Message(message) => Some(self.received(message)),
                    Polled::Linger => return Ok(gathered),
                    Polled::Exhausted => None,
                },
            };
            let Some((message, at)) = next else {
                gathered.exhausted = true;
                return Ok(gathered);
            };
            let isolated = message.returns >= ISOLATE_AFTER;
            if isolated && !gathered.messages.is_empty() {
                self.arrived.push_front((message, at));
                return Ok(gathered);
            }
            gathered.rides += count_rides(&message);
            gathered.messages.push(message);
            let full = gathered.rides >= self.settings.batch_rides;
            if full || isolated || gathered.messages.len() >= usize::from(self.pipeline.prefetch())
            {
                return Ok(gathered);
            }
            leave_at.get_or_insert_with(|| Instant::now() + self.settings.linger);
        }
    }

    /// Takes all messages that have arrived, up to the prefetch, even if they do not fit into the next batch: heartbeats count
    /// what is unacked, and the console proves by it that nothing is lost.
    fn take_arrived(&mut self) -> Result<(), QueueError> {
        while self.arrived.len() < usize::from(self.pipeline.prefetch()) {
            match self.pipeline.next().now_or_never() {
                Some(Some(Ok(message))) => {
                    let arrived = self.received(message);
                    self.arrived.push_back(arrived);
                }
                Some(Some(Err(error))) => return Err(error),
                Some(None) | None => break,
            }
        }
        Ok(())
    }

    /// Counts a message that has arrived.
    fn received(&self, message: Delivery) -> (Delivery, Instant) {
        let rides = count_rides(&message);
        self.consumer.state.received(&message, rides);
        (message, Instant::now())
    }

    /// The next message; `is_idle`: no message is unacked.
    async fn next(
        &mut self,
        leave_at: Option<Instant>,
        is_idle: bool,
    ) -> Result<Polled, SessionError> {
        let lingering = async {
            match leave_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Check the stop first, because with a backlog there is always a next message.
            biased;
            () = self.stop.cancelled(), if !self.cancelled => {}
            _ = self.waiting_for_store.wait_for(|waiting| *waiting > 0), if is_idle => {
                return Err(SessionError::StoreIsAway);
            }
            next = self.pipeline.next() => match next {
                Some(Ok(message)) => return Ok(Polled::Message(message)),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(Polled::Exhausted),
            },
            () = lingering => return Ok(Polled::Linger),
        }
        self.cancel().await?;
        Ok(Polled::Linger)
    }

    async fn cancel(&mut self) -> Result<(), QueueError> {
        self.cancelled = true;
        self.pipeline.cancel().await
    }

    /// Cancels the consumer if the prefetch no longer fits the message size; once the delivered messages are stored, it consumes
    /// again with a suitable prefetch.
    async fn adjust_prefetch(&mut self) -> Result<(), QueueError> {
        let current = self.pipeline.prefetch();
        if !self.cancelled && self.gauge.change_from(current, Instant::now()).is_some() {
            self.cancel().await?;
        }
        Ok(())
    }

    /// Stores rides, publishes dead letters, and records both for reconciliation; all of it is durable when this returns.
    async fn store(&mut self, messages: &[Delivery]) -> Result<(), SessionError> {
        let mut decoded = Decoded::default();
        let decoding = messages.iter().map(|message| decoded.add(message));
        let mut settlements: Vec<Settlement> = decoding.collect();
        let batch = Batch::new(decoded.rides);
        let applied = self.apply(batch).await?;
        for (ride, reason) in &applied.refused {
            let (at, letter) = refused_letter(ride, reason, messages);
            settlements[at].dead += 1;
            decoded.dead.push(letter);
        }
        let dead = decoded.dead.len();
        self.publish_dead_letters(decoded.dead).await?;
        self.settle(&settlements).await?;
        self.consumer.consumers.counts.add(&applied, dead as u64);
        record(
            messages,
            &applied,
            dead,
            &self.consumer.consumers.stored_after_ms,
        );
        Ok(())
    }

    /// Applies a batch, with retries until it is stored or the time limit is reached.
    async fn apply(&mut self, batch: Batch) -> Result<Applied, SessionError> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let error = match self.pipeline.apply(&batch).await {
                Ok(applied) => {
                    self.consumer.state.healthy();
                    metrics::histogram!("skilift_apply_duration_seconds").record(started.elapsed());
                    return Ok(applied);
                }
                Err(error) => error,
            };
            metrics::counter!("skilift_store_retries_total").increment(1);
            if error.is_fatal() || self.gives_up(started) {
                return Err(SessionError::Store { batch, error });
            }
            let text = chain(&error);
            tracing::warn!("a batch is not stored yet: {text}; retrying");
            self.consumer.state.blocked(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Publishes dead letters, with retries until they are durable or the time limit is reached.
    async fn publish_dead_letters(
        &mut self,
        mut letters: Vec<DeadLetter>,
    ) -> Result<(), SessionError> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        while !letters.is_empty() {
            let Err(error) = self.pipeline.publish_dead_letters(&mut letters).await else {
                self.consumer.state.healthy();
                return Ok(());
            };
            if error.is_fatal() || self.gives_up(started) {
                return Err(SessionError::DeadLetters { letters, error });
            }
            let text = chain(&error);
            tracing::error!(
                "cannot publish {} dead letters: {text}; retrying",
                letters.len()
            );
            self.consumer.state.blocked(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
        Ok(())
    }

    /// Records the settlement of messages, with retries until it is written or the time limit is reached.
    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), SessionError> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let Err(error) = self.pipeline.settle(settlements).await else {
                self.consumer.state.healthy();
                return Ok(());
            };
            metrics::counter!("skilift_store_retries_total").increment(1);
            if error.is_fatal() || self.gives_up(started) {
                // The rides are stored; the retry only waits for a writable store.
                let batch = Batch::new(Vec::new());
                return Err(SessionError::Store { batch, error });
            }
            let text = chain(&error);
            tracing::warn!("the settlement of a batch is not recorded yet: {text}; retrying");
            self.consumer.state.blocked(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Whether to give up and requeue the messages; immediately in a drain, because no message is lost and the process can exit.
    fn gives_up(&self, started: Instant) -> bool {
        started.elapsed() > HOLD || self.consumer.draining.is_cancelled()
    }
}

enum Polled {
    Message(Delivery),
    /// The linger time of the batch is over.
    Linger,
    /// The consumer has delivered all its messages.
    Exhausted,
}

/// The line and the message of a ride that the store rejected.
fn refused_letter(ride: &Ride, reason: &str, messages: &[Delivery]) -> (usize, DeadLetter) {
    let letter = |(at, message): (usize, &Delivery)| {
        let mut found = lines(&message.body);
        let (number, line) = found.find(|(_, line)| parse_line(line).as_ref() == Ok(ride))?;
        let letter = DeadLetter::of_line(message, number, line, reason.to_owned());
        Some((at, letter))
    };
    // Every ride comes from a line of these messages; if none is found, the line is generated again.
    messages
        .iter()
        .enumerate()
        .find_map(letter)
        .unwrap_or_else(|| {
            let line = serde_json::to_vec(ride).unwrap_or_default();
            let letter = DeadLetter::of_line(&messages[0], 0, &line, reason.to_owned());
            (0, letter)
        })
}

fn record(messages: &[Delivery], applied: &Applied, dead: usize, stored_after_ms: &Durations) {
    metrics::counter!("skilift_rides_applied_total").increment(applied.new);
    metrics::counter!("skilift_rides_duplicate_total").increment(applied.duplicates);
    metrics::counter!("skilift_rides_dead_total").increment(dead as u64);
    metrics::histogram!("skilift_batch_rides").record((applied.new + applied.duplicates) as f64);
    let now = epoch_ms();
    let stored_after = metrics::histogram!("skilift_accept_to_stored_seconds");
    for message in messages {
        let Some(accepted_at) = message.accepted_at_ms else {
            continue;
        };
        let waited = now.saturating_sub(accepted_at);
        stored_after.record(waited as f64 / 1000.0);
        stored_after_ms.record(waited, count_rides(message) as u64);
    }
}
