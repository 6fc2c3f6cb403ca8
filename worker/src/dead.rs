//! Lines on their way to the dead letters.

use std::sync::Arc;

use futures_util::future::join_all;
use skilift_core::queue::rabbit::dead_letters::DeadLetterError;
use skilift_core::queue::rabbit::{Broker, DeadLetter, DeadLetters};
use skilift_core::stack::StackName;

/// Dead letters that are on their way at once.
const AT_ONCE: usize = 64;

/// The way to the dead letters, opened when the first one comes.
pub(crate) struct DeadLetterOffice {
    broker: Arc<Broker>,
    stack: StackName,
    open: Option<DeadLetters>,
}

impl DeadLetterOffice {
    pub(crate) fn new(broker: Arc<Broker>, stack: StackName) -> Self {
        Self {
            broker,
            stack,
            open: None,
        }
    }

    /// Puts letters away. Those that are safe leave the list, so that the next attempt goes on where this one ended.
    pub(crate) async fn put_away(
        &mut self,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), DeadLetterError> {
        let queue = match self.open.take() {
            Some(queue) => queue,
            None => DeadLetters::open(&self.broker, &self.stack).await?,
        };
        while !letters.is_empty() {
            let batch = letters.split_off(letters.len().saturating_sub(AT_ONCE));
            let outcomes = join_all(batch.iter().map(|letter| queue.put(letter))).await;
            let mut failure = None;
            for (letter, outcome) in batch.into_iter().zip(outcomes) {
                if let Err(error) = outcome {
                    letters.push(letter);
                    failure = Some(error);
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        self.open = Some(queue);
        Ok(())
    }
}
