//! One channel's work: gather a batch, store it, acknowledge it, again.

use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::lifecycle::chain;
use skilift_core::message::{lines, parse_line};
use skilift_core::queue::rabbit::dead_letters::DeadLetterError;
use skilift_core::queue::rabbit::{BrokerError, Consumer, DeadLetter, Delivery};
use skilift_core::retry;
use skilift_core::ride::Ride;
use skilift_core::store::batch::Batch;
use skilift_core::store::redis::StoreError;
use skilift_core::store::redis::writer::{Applied, Writer};
use tokio::time::Instant;

use crate::dead::DeadLetterOffice;
use crate::decode::{Decoded, count_rides};
use crate::lane::Lane;
use crate::prefetch::PrefetchGauge;

/// How long a batch is held while it cannot be stored. After that the channel is closed, so that its messages go back
/// once and RabbitMQ's `consumer_timeout` never fires.
const HOLD: Duration = Duration::from_secs(30);
/// A message that came back so often is stored alone, so that it cannot drag others along.
const ALONE_AFTER: u64 = 5;

/// Why a channel's work ended early. Whatever was not acknowledged comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    #[error("{}", chain(.0))]
    Broker(#[from] BrokerError),
    /// The store does not answer; nothing is held.
    #[error("{}", chain(.0))]
    Unreachable(StoreError),
    /// The store does not take a batch.
    #[error("{}", chain(.error))]
    Store { batch: Batch, error: StoreError },
    #[error("{}", chain(.error))]
    DeadLetters {
        letters: Vec<DeadLetter>,
        error: DeadLetterError,
    },
}

/// The work of a lane on one channel.
pub(crate) struct Session<'a> {
    lane: &'a Lane,
    consumer: Consumer,
    gauge: PrefetchGauge,
    writer: Option<Writer>,
    dead_letters: DeadLetterOffice,
    /// A message that did not fit into the batch before it.
    held: Option<Delivery>,
    /// Whether no more messages are asked for: to drain, or to change the prefetch.
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

impl<'a> Session<'a> {
    pub(crate) async fn open(lane: &'a Lane) -> Result<Self, BrokerError> {
        let gauge = PrefetchGauge::new(lane.config.prefetch_rides);
        let consumer = Consumer::open(&lane.broker, &lane.stack, gauge.messages()).await?;
        Ok(Self {
            lane,
            consumer,
            gauge,
            writer: None,
            dead_letters: lane.dead_letter_office(),
            held: None,
            cancelled: false,
            has_stored: false,
        })
    }

    /// Whether at least one batch was stored and acknowledged.
    pub(crate) fn has_stored(&self) -> bool {
        self.has_stored
    }

    /// Closes the channel: what was not acknowledged goes back to the queue.
    pub(crate) async fn close(self) {
        self.consumer.close().await;
    }

    /// Works until the worker drains: then it stores what was delivered already, and ends.
    pub(crate) async fn work(&mut self) -> Result<(), Interrupted> {
        loop {
            let gathered = self.gather().await?;
            if let Some(last) = gathered.messages.last() {
                let through = last.tag;
                self.store(&gathered.messages).await?;
                self.consumer.ack_through(through).await?;
                self.has_stored = true;
                self.gauge.saw(gathered.messages.len(), gathered.rides);
            }
            if !gathered.exhausted {
                self.follow_message_size().await?;
            } else if self.lane.draining.is_cancelled() {
                return Ok(());
            } else if self.cancelled {
                self.consumer.resume(self.gauge.messages()).await?;
                self.cancelled = false;
            } else {
                return Err(BrokerError::ConsumerCancelled.into());
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
                    Next::Message(message) => Some(message),
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
            let full = gathered.rides >= self.lane.config.batch_rides;
            if full || alone || gathered.messages.len() >= usize::from(self.consumer.prefetch()) {
                return Ok(gathered);
            }
            leave_at.get_or_insert_with(|| Instant::now() + self.lane.config.linger);
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
            // The drain first: while messages are waiting there is always a next one.
            biased;
            () = self.lane.draining.cancelled(), if !self.cancelled => {}
            next = self.consumer.next() => match next {
                Some(Ok(message)) => return Ok(Next::Message(message)),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(Next::Exhausted),
            },
            () = lingering => return Ok(Next::Linger),
        }
        self.cancel().await?;
        Ok(Next::Linger)
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        self.cancelled = true;
        self.consumer.cancel().await
    }

    /// Asks for no more messages when the prefetch no longer fits their size; once those delivered are stored, the lane
    /// consumes again with one that does.
    async fn follow_message_size(&mut self) -> Result<(), BrokerError> {
        let current = self.consumer.prefetch();
        if !self.cancelled && self.gauge.change_from(current, Instant::now()).is_some() {
            self.cancel().await?;
        }
        Ok(())
    }

    /// Stores rides and puts dead letters away. All of it is safe when this returns.
    async fn store(&mut self, messages: &[Delivery]) -> Result<(), Interrupted> {
        let mut decoded = Decoded::default();
        for message in messages {
            decoded.add(message);
        }
        let batch = Batch::new(decoded.rides);
        let applied = self.apply(batch).await?;
        let refused = applied
            .refused
            .iter()
            .map(|(ride, reason)| refused_letter(ride, reason, messages));
        decoded.dead.extend(refused);
        let dead = decoded.dead.len();
        self.put_away(decoded.dead).await?;
        record(messages, &applied, dead);
        Ok(())
    }

    /// Applies a batch, again and again until it is stored or was held for too long.
    async fn apply(&mut self, batch: Batch) -> Result<Applied, Interrupted> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        loop {
            let error = match self.apply_once(&batch).await {
                Ok(applied) => {
                    self.lane.state.working();
                    metrics::histogram!("skilift_apply_duration_seconds").record(started.elapsed());
                    return Ok(applied);
                }
                Err(error) => error,
            };
            metrics::counter!("skilift_store_retries_total").increment(1);
            if self.gives_up(started) {
                return Err(Interrupted::Store { batch, error });
            }
            let text = chain(&error);
            tracing::warn!("a batch is not stored yet: {text}; trying again");
            self.lane.state.hindered(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// A writer that failed is not used again: the next attempt looks anew whether Redis is as it must be.
    async fn apply_once(&mut self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.lane.store.writer().await?,
        };
        let applied = writer.apply(batch).await?;
        self.writer = Some(writer);
        Ok(applied)
    }

    /// Puts dead letters away, again and again until they are safe or were held for too long.
    async fn put_away(&mut self, mut letters: Vec<DeadLetter>) -> Result<(), Interrupted> {
        let started = Instant::now();
        let mut pauses = retry::pauses();
        while !letters.is_empty() {
            let Err(error) = self.dead_letters.put_away(&mut letters).await else {
                self.lane.state.working();
                return Ok(());
            };
            if self.gives_up(started) {
                return Err(Interrupted::DeadLetters { letters, error });
            }
            let text = chain(&error);
            tracing::error!("{} dead letters wait: {text}", letters.len());
            self.lane.state.hindered(text);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
        Ok(())
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

/// A ride that the store refused, as the line of the message that it came in.
fn refused_letter(ride: &Ride, reason: &str, messages: &[Delivery]) -> DeadLetter {
    let lines_of = |message: &Delivery| {
        let found = lines(&message.body).find(|(_, line)| parse_line(line).as_ref() == Ok(ride));
        found.map(|(number, line)| (message.id, number, line.to_vec()))
    };
    // Every ride comes from a line of these messages; should none be found, it is written anew.
    let found = messages.iter().find_map(lines_of);
    let (message, line_number, line) =
        found.unwrap_or_else(|| (None, 0, serde_json::to_vec(ride).unwrap_or_default()));
    DeadLetter {
        line,
        reason: reason.to_owned(),
        message,
        line_number,
    }
}

fn record(messages: &[Delivery], applied: &Applied, dead: usize) {
    metrics::counter!("skilift_rides_applied_total").increment(applied.new);
    metrics::counter!("skilift_rides_duplicate_total").increment(applied.duplicates);
    metrics::counter!("skilift_rides_dead_total").increment(dead as u64);
    metrics::histogram!("skilift_batch_rides").record((applied.new + applied.duplicates) as f64);
    let now = epoch_ms();
    let stored_after = metrics::histogram!("skilift_accept_to_stored_seconds");
    for accepted_at in messages.iter().filter_map(|message| message.accepted_at_ms) {
        stored_after.record(now.saturating_sub(accepted_at) as f64 / 1000.0);
    }
}
