//! The epochs of a publisher's channels: each numbers its messages from 1, and records its confirmed high-water mark.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::epoch_ms;
use crate::control::heartbeat::LaneConfirmed;
use crate::message::MessageId;

/// Maximum ended epochs that are still reported.
const MAX_ENDED: usize = 64;

/// All epochs of a publisher's channels, oldest first.
#[derive(Debug, Default)]
pub(super) struct EpochTracker(Mutex<Vec<LaneConfirmed>>);

impl EpochTracker {
    /// The confirmed high-water mark of each.
    pub(super) fn confirmed(&self) -> Vec<LaneConfirmed> {
        let epochs = self.lock();
        let confirmed = epochs.iter().filter(|epoch| epoch.high_watermark > 0);
        confirmed.copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LaneConfirmed>> {
        // A holder of the lock cannot panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ended: MessageId) {
        let mut epochs = self.lock();
        let is_it =
            |epoch: &LaneConfirmed| (epoch.epoch, epoch.channel) == (ended.epoch, ended.channel);
        for epoch in epochs.iter_mut().filter(|epoch| is_it(epoch)) {
            epoch.ended = true;
        }
        epochs.retain(|epoch| !epoch.ended || epoch.high_watermark > 0);
        let count = epochs.iter().filter(|epoch| epoch.ended).count();
        if count > MAX_ENDED
            && let Some(oldest) = epochs.iter().position(|epoch| epoch.ended)
        {
            epochs.remove(oldest);
        }
    }
}

/// One epoch of a publisher channel. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct LaneEpoch {
    epochs: Arc<EpochTracker>,
    last: MessageId,
}

impl LaneEpoch {
    /// A new, unique epoch.
    pub(super) fn begin(epochs: &Arc<EpochTracker>, channel: u16) -> Self {
        let epoch = MessageId::new_epoch(epoch_ms());
        epochs.lock().push(LaneConfirmed {
            epoch,
            channel,
            high_watermark: 0,
            rides: 0,
            ended: false,
        });
        Self {
            epochs: Arc::clone(epochs),
            last: MessageId {
                epoch,
                channel,
                sequence: 0,
            },
        }
    }

    /// The id of the next message.
    pub(super) fn next_id(&mut self) -> MessageId {
        self.last.sequence += 1;
        self.last
    }

    /// Records the confirm of the next message in order, with this number of rides. After a message that is not confirmed,
    /// nothing may be confirmed any more.
    pub(super) fn confirm(&self, rides: usize) {
        let mut epochs = self.epochs.lock();
        // The latest epochs are last.
        let epoch = epochs
            .iter_mut()
            .rfind(|epoch| (epoch.epoch, epoch.channel) == (self.last.epoch, self.last.channel));
        if let Some(epoch) = epoch {
            epoch.high_watermark += 1;
            epoch.rides += rides as u64;
        }
    }
}

impl Drop for LaneEpoch {
    fn drop(&mut self) {
        self.epochs.end(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_tells_how_far_it_is_confirmed_and_that_it_ended() {
        let epochs = Arc::<EpochTracker>::default();
        let mut first = LaneEpoch::begin(&epochs, 3);
        assert_eq!(epochs.confirmed(), []);
        let sequences = [first.next_id().sequence, first.next_id().sequence];
        assert_eq!(sequences, [1, 2]);
        first.confirm(7);
        let confirmed = |ended| LaneConfirmed {
            epoch: first.last.epoch,
            channel: 3,
            high_watermark: 1,
            rides: 7,
            ended,
        };
        let (goes_on, ended) = (confirmed(false), confirmed(true));
        assert_eq!(epochs.confirmed(), [goes_on]);
        let second = LaneEpoch::begin(&epochs, 3);
        drop(first);
        second.confirm(1);
        drop(LaneEpoch::begin(&epochs, 3));
        assert_eq!(epochs.confirmed().len(), 2);
        assert_eq!(epochs.confirmed()[0], ended);
    }

    #[test]
    fn of_lives_that_ended_the_last_are_kept_and_one_that_goes_on_always() {
        let epochs = Arc::<EpochTracker>::default();
        let goes_on = LaneEpoch::begin(&epochs, 0);
        goes_on.confirm(1);
        for rides in 1..=100 {
            LaneEpoch::begin(&epochs, 1).confirm(rides);
        }
        let confirmed = epochs.confirmed();
        assert_eq!(confirmed.len(), 1 + MAX_ENDED);
        assert_eq!((confirmed[0].channel, confirmed[0].ended), (0, false));
        assert_eq!((confirmed[1].rides, confirmed[64].rides), (37, 100));
        assert_eq!(epochs.lock().len(), confirmed.len());
    }
}
