//! The epochs of a publisher's channels: each numbers its messages from 1, and records its confirmed high-water mark.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::epoch_ms;
use crate::control::heartbeat::LaneConfirmed;
use crate::message::MessageId;

/// Maximum ended epochs that are still reported.
const MOST_ENDED: usize = 64;

/// All epochs of a publisher's channels, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<Vec<LaneConfirmed>>);

impl Lives {
    /// The confirmed high-water mark of each.
    pub(super) fn confirmed(&self) -> Vec<LaneConfirmed> {
        let lives = self.lock();
        let told = lives.iter().filter(|life| life.high_watermark > 0);
        told.copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LaneConfirmed>> {
        // A holder of the lock cannot panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ended: MessageId) {
        let mut lives = self.lock();
        let is_it = |life: &LaneConfirmed| (life.epoch, life.channel) == (ended.epoch, ended.lane);
        for life in lives.iter_mut().filter(|life| is_it(life)) {
            life.ended = true;
        }
        lives.retain(|life| !life.ended || life.high_watermark > 0);
        let count = lives.iter().filter(|life| life.ended).count();
        if count > MOST_ENDED
            && let Some(oldest) = lives.iter().position(|life| life.ended)
        {
            lives.remove(oldest);
        }
    }
}

/// One epoch of a publisher channel. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct LaneLife {
    lives: Arc<Lives>,
    last: MessageId,
}

impl LaneLife {
    /// A new, unique epoch.
    pub(super) fn begin(lives: &Arc<Lives>, lane: u16) -> Self {
        let epoch = MessageId::new_epoch(epoch_ms());
        lives.lock().push(LaneConfirmed {
            epoch,
            channel: lane,
            high_watermark: 0,
            rides: 0,
            ended: false,
        });
        Self {
            lives: Arc::clone(lives),
            last: MessageId {
                epoch,
                lane,
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
        let mut lives = self.lives.lock();
        // The latest epochs are last.
        let life = lives
            .iter_mut()
            .rfind(|life| (life.epoch, life.channel) == (self.last.epoch, self.last.lane));
        if let Some(life) = life {
            life.high_watermark += 1;
            life.rides += rides as u64;
        }
    }
}

impl Drop for LaneLife {
    fn drop(&mut self) {
        self.lives.end(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_tells_how_far_it_is_confirmed_and_that_it_ended() {
        let lives = Arc::<Lives>::default();
        let mut first = LaneLife::begin(&lives, 3);
        assert_eq!(lives.confirmed(), []);
        let sequences = [first.next_id().sequence, first.next_id().sequence];
        assert_eq!(sequences, [1, 2]);
        first.confirm(7);
        let told = |ended| LaneConfirmed {
            epoch: first.last.epoch,
            channel: 3,
            high_watermark: 1,
            rides: 7,
            ended,
        };
        let (goes_on, ended) = (told(false), told(true));
        assert_eq!(lives.confirmed(), [goes_on]);
        let second = LaneLife::begin(&lives, 3);
        drop(first);
        second.confirm(1);
        drop(LaneLife::begin(&lives, 3));
        assert_eq!(lives.confirmed().len(), 2);
        assert_eq!(lives.confirmed()[0], ended);
    }

    #[test]
    fn of_lives_that_ended_the_last_are_kept_and_one_that_goes_on_always() {
        let lives = Arc::<Lives>::default();
        let goes_on = LaneLife::begin(&lives, 0);
        goes_on.confirm(1);
        for rides in 1..=100 {
            LaneLife::begin(&lives, 1).confirm(rides);
        }
        let told = lives.confirmed();
        assert_eq!(told.len(), 1 + MOST_ENDED);
        assert_eq!((told[0].channel, told[0].ended), (0, false));
        assert_eq!((told[1].rides, told[64].rides), (37, 100));
        assert_eq!(lives.lock().len(), told.len());
    }
}
