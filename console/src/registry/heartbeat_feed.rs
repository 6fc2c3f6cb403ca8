//! Whether the heartbeat feed is connected: while it is not, missing heartbeats mean nothing.

/// Without a proof for longer than this, the feed counts as disconnected.
const MAX_GAP_MS: u64 = 2_500;

/// The time up to which the feed is proven to be connected: by a heartbeat, or by an echo over the same connection.
#[derive(Debug, Default)]
pub(super) struct HeartbeatFeed {
    /// Up to when.
    until: u64,
    /// Since when, without a gap; `None` while disconnected.
    since: Option<u64>,
}

impl HeartbeatFeed {
    /// Records a proof. Returns whether there was none for a while.
    pub(super) fn prove(&mut self, now: u64) -> bool {
        let is_new = self.is_disconnected(now);
        if is_new {
            self.since = Some(now);
        }
        self.until = now;
        is_new
    }

    /// Marks the feed as disconnected until the next proof.
    pub(super) fn fail(&mut self) {
        self.since = None;
    }

    /// Whether the feed counts as disconnected.
    pub(super) fn is_disconnected(&self, now: u64) -> bool {
        self.since.is_none() || now.saturating_sub(self.until) > MAX_GAP_MS
    }

    /// Since when it is proven without a gap.
    pub(super) fn since(&self) -> Option<u64> {
        self.since
    }

    /// Up to when it is proven, at most `now`.
    pub(super) fn until(&self, now: u64) -> u64 {
        self.until.min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_proof_is_a_gap() {
        let mut feed = HeartbeatFeed::default();
        assert!(feed.is_disconnected(10_000));
        assert!(feed.prove(10_000) && !feed.prove(12_500));
        assert_eq!((feed.since(), feed.until(60_000)), (Some(10_000), 12_500));
        // A connection without any message is detected by the clock alone.
        assert!(!feed.is_disconnected(15_000) && feed.is_disconnected(15_001));
        assert!(feed.prove(32_500));
        feed.fail();
        assert!(feed.is_disconnected(32_600));
        assert!(feed.prove(32_700));
    }
}
