//! One intake's work: gather a batch, store it, acknowledge it, again.

use std::time::Duration;

use skilift_core::books::Settlement;
use skilift_core::clock::epoch_ms;
use skilift_core::control::Durations;
use skilift_core::engine::{Engine, EngineError, Intake};
use skilift_core::lifecycle::chain;
use skilift_core::message::{lines, parse_line};
use skilift_core::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use skilift_core::retry;
use skilift_core::ride::Ride;
use skilift_core::store::batch::Batch;
use skilift_core::store::{Applied, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::decode::{Decoded, count_rides};
use crate::lane::Lane;
use crate::prefetch::PrefetchGauge;
use crate::wanted::LaneSettings;

/// How long a batch is held while it cannot be stored. After that the channel is closed, so that its messages go back
/// once and RabbitMQ's `consumer_timeout` never fires.
const HOLD: Duration = Duration::from_secs(30);
/// A message that came back so often is stored alone, so that it cannot drag others along.
const ALONE_AFTER: u64 = 5;

/// Why an intake's work ended early. Whatever was not acknowledged comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    /// Queue or store cannot be turned to; nothing is held.
    #[error("{}", chain(.0))]
    Engine(#[from] EngineError),
    /// The queue has cancelled the consumer.
    #[error("the queue handed out no more: it was deleted, or moved to another node")]
    Cancelled,
    /// The store does not take a batch.
    #[error("{}", chain(.error))]
    Store { batch: Batch, error: StoreError },
    #[error("{}", chain(.error))]
    DeadLetters {
        letters: Vec<DeadLetter>,
        error: DeadLetterError,
    },
}

impl Interrupted {
    /// Whether the process must end: trying again would build on what may not be on disk.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_fatal(),
            Self::Cancelled => false,
            Self::Store { error, .. } => error.is_fatal(),
            Self::DeadLetters { error, .. } => error.is_fatal(),
        }
    }
}

impl From<QueueError> for Interrupted {
    fn from(error: QueueError) -> Self {
        Self::Engine(error.into())
    }
}

/// The work of a lane on one intake.
pub(crate) struct Session<'a, E: Engine> {
    lane: &'a Lane<E>,
    settings: LaneSettings,
    /// Ready when the lane shall take no more messages.
    stop: &'a CancellationToken,
    intake: E::Intake,
    gauge: PrefetchGauge,
    /// A message that did not fit into the batch before it.
    held: Option<Delivery>,
    /// Whether no more messages are asked for: to stop, or to change the prefetch.
    cancelled: bool,
    has_stored: bool,
}

/// Messages that are stored and acknowledged together, in the order of their tags.
#[derive(Default)]
struct Gathered {
    messages: Vec<Delivery>,
    rides: usize,
    /// Whether the consumer has handed out all it had.
    exhausted: bool,
}

impl<'a, E: Engine> Session<'a, E> {
    pub(crate) async fn open(
        lane: &'a Lane<E>,
        settings: LaneSettings,
        stop: &'a CancellationToken,
    ) -> Result<Self, Interrupted> {
        let gauge = PrefetchGauge::new(settings.prefetch_rides);
        let intake = lane.engine.open(gauge.messages()).await?;
        lane.state.consumes(intake.prefetch());
        Ok(Self {
            lane,
            settings,
            stop,
            intake,
            gauge,
            held: None,
            cancelled: false,
            has_stored: false,
        })
    }

    /// Whether at least one batch was stored and acknowledged.
    pub(crate) fn has_stored(&self) -> bool {
        self.has_stored
    }

    /// Closes the intake: what was not acknowledged goes back to the queue.
    pub(crate) async fn close(self) {
        self.intake.close().await;
    }

    /// Works until the lane shall stop: then it stores what was delivered already, and ends.
    pub(crate) async fn work(&mut self) -> Result<(), Interrupted> {
        loop {
            let gathered = self.gather().await?;
            if let Some(last) = gathered.messages.last() {
                let through = last.tag;
                self.lane.state.stores();
                self.store(&gathered.messages).await?;
                self.intake.ack_through(through).await?;
                self.has_stored = true;
                let (messages, rides) = (gathered.messages.len(), gathered.rides);
                self.lane.state.acked(messages, rides, self.held.as_ref());
                self.gauge.saw(messages, rides);
            }
            if !gathered.exhausted {
                self.follow_message_size().await?;
            } else if self.stop.is_cancelled() {
                return Ok(());
            } else if self.cancelled {
                self.intake.resume(self.gauge.messages()).await?;
                self.lane.state.consumes(self.intake.prefetch());
                self.cancelled = false;
            } else {
                return Err(Interrupted::Cancelled);
            }
        }
    }

    /// Waits for a message, then takes what comes until the batch is full, holds all that the prefetch allows, or has
    /// lingered long enough.
    async fn gather(&mut self) -> Result<Gathered, Interrupted> {
        let mut gathered = Gathered::default();
        let mut leave_at = None;
        loop {
            let next = match self.held.take() {
                Some(message) => Some(message),
                None => match self.next(leave_at).await? {
                    Next::Message(message) => {
                        self.lane.state.took(&message, count_rides(&message));
                        Some(message)
                    }
                    Next::Linger => return Ok(gathered),
                    Next::Exhausted => None,
                },
            };
            let Some(message) = next else {
                gathered.exhausted = true;
                return Ok(gathered);
            };
            let alone = message.returns >= ALONE_AFTER;
            if alone && !gathered.messages.is_empty() {
                self.held = Some(message);
                return Ok(gathered);
            }
            gathered.rides += count_rides(&message);
            gathered.messages.push(message);
            let full = gathered.rides >= self.settings.batch_rides;
            if full || alone || gathered.messages.len() >= usize::from(self.intake.prefetch()) {
                return Ok(gathered);
            }
            leave_at.get_or_insert_with(|| Instant::now() + self.settings.linger);
        }
    }

    async fn next(&mut self, leave_at: Option<Instant>) -> Result<Next, Interrupted> {
        let lingering = async {
            match leave_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The stop first: while messages are waiting there is always a next one.
            biased;
            () = self.stop.cancelled(), if !self.cancelled => {}
            next = self.intake.next() => match next {
                Some(Ok(message)) => return Ok(Next::Message(message)),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(Next::Exhausted),
            },
            () = lingering => return Ok(Next::Linger),
        }
        self.cancel().await?;
        Ok(Next::Linger)
    }

    async fn cancel(&mut self) -> Result<(), QueueError> {
        self.cancelled = true;
        self.intake.cancel().await
    }

    /// Asks for no more messages when the prefetch no longer fits their size; once those delivered are stored, the lane
    /// consumes again with one that does.
    async fn follow_message_size(&mut self) -> Result<(), QueueError> {
        let current = self.intake.prefetch();
        if !self.cancelled && self.gauge.change_from(current, Instant::now()).is_some() {
            self.cancel().await?;
        }
        Ok(())
    }

    /// Stores rides, puts dead letters away, and writes both in the books. All of it is safe when this returns.
    async fn store(&mut self, messages: &[Delivery]) -> Result<(), Interrupted> {
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
        self.put_away(decoded.dead).await?;
        self.settle(&settlements).await?;
        self.lane.lanes.counts.add(&applied, dead as u64);
        record(messages, &applied, dead, &self.lane.lanes.stored_after_ms);
        Ok(())
    }

    /// Applies a batch, again and again until it is stored or was held for too long.
    async fn apply(&mut self, batch: Batch) -> Result<Applied, Interrupted> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let error = match self.intake.apply(&batch).await {
                Ok(applied) => {
                    self.lane.state.working();
                    metrics::histogram!("skilift_apply_duration_seconds").record(started.elapsed());
                    return Ok(applied);
                }
                Err(error) => error,
            };
            metrics::counter!("skilift_store_retries_total").increment(1);
            if error.is_fatal() || self.gives_up(started) {
                return Err(Interrupted::Store { batch, error });
            }
            let text = chain(&error);
            tracing::warn!("a batch is not stored yet: {text}; trying again");
            self.lane.state.hindered(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Puts dead letters away, again and again until they are safe or were held for too long.
    async fn put_away(&mut self, mut letters: Vec<DeadLetter>) -> Result<(), Interrupted> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        while !letters.is_empty() {
            let Err(error) = self.intake.put_away(&mut letters).await else {
                self.lane.state.working();
                return Ok(());
            };
            if error.is_fatal() || self.gives_up(started) {
                return Err(Interrupted::DeadLetters { letters, error });
            }
            let text = chain(&error);
            tracing::error!("{} dead letters wait: {text}", letters.len());
            self.lane.state.hindered(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
        Ok(())
    }

    /// Writes in the books what became of messages, again and again until it is written or they were held for too long.
    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Interrupted> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let Err(error) = self.intake.settle(settlements).await else {
                self.lane.state.working();
                return Ok(());
            };
            metrics::counter!("skilift_store_retries_total").increment(1);
            if error.is_fatal() || self.gives_up(started) {
                // The rides are stored; what is to be waited for is a store that can be written.
                let batch = Batch::new(Vec::new());
                return Err(Interrupted::Store { batch, error });
            }
            let text = chain(&error);
            tracing::warn!("a batch is not in the books yet: {text}; trying again");
            self.lane.state.hindered(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Whether what could not be put away goes back to the queue. In a drain it does so at once: nothing is lost by it,
    /// and the process can end.
    fn gives_up(&self, started: Instant) -> bool {
        started.elapsed() > HOLD || self.lane.draining.is_cancelled()
    }
}

enum Next {
    Message(Delivery),
    /// The batch has waited long enough for more.
    Linger,
    /// The consumer has handed out all it had.
    Exhausted,
}

/// A ride that the store refused, as the line of the message that it came in, and which of the messages that is.
fn refused_letter(ride: &Ride, reason: &str, messages: &[Delivery]) -> (usize, DeadLetter) {
    let letter = |(at, message): (usize, &Delivery)| {
        let mut found = lines(&message.body);
        let (number, line) = found.find(|(_, line)| parse_line(line).as_ref() == Ok(ride))?;
        let letter = DeadLetter::of_line(message, number, line, reason.to_owned());
        Some((at, letter))
    };
    // Every ride comes from a line of these messages; should none be found, it is written anew.
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
