//! Publishes the rides of an upload in separate messages, a few at a time, and settles its lines in order.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use skilift_core::message::{LineError, MessageBody, parse_line};
use skilift_core::queue::PublishError;
use skilift_core::ride::Ride;
use tokio::sync::SemaphorePermit;

use super::answer::{BulkAnswer, LineRefusal, Stop, Tally};
use super::lines::Line;
use crate::ingest::{Caller, Scope};
use crate::node::upload_places;
use crate::state::ApiState;

/// Maximum unconfirmed messages of one upload.
const IN_FLIGHT: usize = 4;
/// How long a message waits for its permits before their number is computed again.
const RECOUNT: Duration = Duration::from_secs(1);

/// A running upload.
pub(super) struct Upload<'a> {
    api: &'a ApiState,
    /// The caller and its permitted resorts.
    caller: Caller,
    scope: Scope,
    /// Results of the lines before the first unsettled one.
    settled: Tally,
    /// Unconfirmed messages, in the order of their lines.
    in_flight: FuturesOrdered<BoxFuture<'a, (Part, Result<(), PublishError>)>>,
    /// The lines after the unconfirmed ones, and their rides.
    next: Part,
    body: MessageBody,
    /// The first rejection, and the first line of the rejected message.
    refused: Option<(PublishError, u64)>,
}

/// Consecutive lines, and their results once their rides are confirmed.
struct Part {
    first_line: u64,
    tally: Tally,
}

impl Part {
    fn from(first_line: u64) -> Self {
        Self {
            first_line,
            tally: Tally::default(),
        }
    }
}

impl<'a> Upload<'a> {
    pub(super) fn new(api: &'a ApiState, caller: Caller, scope: Scope) -> Self {
        Self {
            api,
            caller,
            scope,
            settled: Tally::default(),
            in_flight: FuturesOrdered::new(),
            next: Part::from(1),
            body: MessageBody::default(),
            refused: None,
        }
    }

    /// Checks whether the caller is still authorised.
    pub(super) fn ask_again(&mut self) -> Result<(), Stop> {
        self.scope = self
            .api
            .authorizer
            .scope(self.caller)
            .map_err(Stop::Unauthorized)?;
        Ok(())
    }

    /// Adds a line, and sends the message when it is full.
    pub(super) async fn take(&mut self, number: u64, line: Line<'_>) -> Result<(), Stop> {
        match self.read(line) {
            Ok(Some(ride)) => self.body.push(&ride),
            Ok(None) => {}
            Err(refusal) => self.next.tally.reject(number, refusal),
        }
        if self.body.rides() < self.api.publisher.message_rides() {
            return Ok(());
        }
        while self.in_flight.len() >= IN_FLIGHT {
            self.confirmed().await?;
        }
        self.send(number + 1);
        // A message is sent when it is first polled; messages that are confirmed meanwhile are settled here.
        self.confirmed().now_or_never().unwrap_or(Ok(()))
    }

    /// Waits until the oldest unconfirmed message is confirmed; forever if there is none.
    pub(super) async fn confirmed(&mut self) -> Result<(), Stop> {
        let Some((part, outcome)) = self.in_flight.next().await else {
            return std::future::pending().await;
        };
        self.settle(part, outcome);
        match &self.refused {
            Some((error, _)) => Err(Stop::Refused(error.clone())),
            None => Ok(()),
        }
    }

    /// Sends the rest, waits for all confirms, and returns the response. `stop` is what ended the upload before its body, with
    /// the first unread line.
    pub(super) async fn finish(mut self, stop: Option<(Stop, u64)>) -> BulkAnswer {
        if self.body.rides() > 0 && self.refused.is_none() {
            self.send(u64::MAX);
        }
        while let Some((part, outcome)) = self.in_flight.next().await {
            self.settle(part, outcome);
        }
        if let Some((error, next_line)) = self.refused {
            return BulkAnswer::new(self.settled, Some((Stop::Refused(error), next_line)));
        }
        self.settled.add(self.next.tally);
        BulkAnswer::new(self.settled, stop)
    }

    /// The ride in a line; `None` for a blank line.
    fn read(&self, line: Line<'_>) -> Result<Option<Ride>, LineRefusal> {
        let text = match line {
            Line::Whole(text) if text.trim_ascii().is_empty() => return Ok(None),
            Line::Whole(text) => text,
            Line::TooLong(length) => return Err(LineError::TooLong(length).into()),
        };
        let ride = parse_line(text)?;
        self.scope.check(ride.resort)?;
        self.api.catalogue.check_ride(&ride)?;
        Ok(Some(ride))
    }

    fn send(&mut self, next_line: u64) {
        let body = std::mem::take(&mut self.body);
        let mut part = std::mem::replace(&mut self.next, Part::from(next_line));
        part.tally.accept(body.rides());
        let api = self.api;
        let sending = async move {
            // Waits while the uploads hold all their permits.
            let _places = places_for(api, body.rides()).await;
            (part, api.publisher.publish_message(body).await)
        };
        self.in_flight.push_back(sending.boxed());
    }

    fn settle(&mut self, part: Part, outcome: Result<(), PublishError>) {
        match outcome {
            // No line after the first rejection is settled, whether stored or not.
            _ if self.refused.is_some() => {}
            Ok(()) => self.settled.add(part.tally),
            Err(error) => self.refused = Some((error, part.first_line)),
        }
    }
}

/// Permits for a message's rides, or all permits: the message may have been started when messages were larger.
async fn places_for(api: &ApiState, rides: usize) -> Option<SemaphorePermit<'_>> {
    loop {
        let all = upload_places(api.publisher.settings());
        let wanted = u32::try_from(rides).map_or(all, |rides| rides.min(all));
        let acquiring = api.upload_places.acquire_many(wanted);
        // Never closed, but by now there may be fewer permits than requested.
        if let Ok(places) = tokio::time::timeout(RECOUNT, acquiring).await {
            return places.ok();
        }
    }
}
