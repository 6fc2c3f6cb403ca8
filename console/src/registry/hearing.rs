//! Whether heartbeats can be heard: while they cannot, nobody's silence says anything.

/// Without a proof for longer than this, it is not known whether anybody could be heard.
const MOST_GAP_MS: u64 = 2_500;

/// Up to when it is proven that heartbeats can be heard: by one that was, or by an answer on the same way.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// Up to when.
    until: u64,
    /// From when on, without a gap; `None` while it is known that nobody can be heard.
    since: Option<u64>,
}

impl Hearing {
    /// Notes a proof. Returns the time before it of which nothing is known, when there was some.
    pub(super) fn prove(&mut self, now: u64) -> Option<(u64, u64)> {
        let gap = self.is_deaf(now).then_some((self.until, now));
        if gap.is_some() {
            self.since = Some(now);
        }
        self.until = now;
        gap
    }

    /// Notes that nobody can be heard until the next proof.
    pub(super) fn fail(&mut self) {
        self.since = None;
    }

    /// Whether it is not known that anybody could be heard.
    pub(super) fn is_deaf(&self, now: u64) -> bool {
        self.since.is_none() || now.saturating_sub(self.until) > MOST_GAP_MS
    }

    /// From when on it is proven without a gap.
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
        let mut hearing = Hearing::default();
        assert!(hearing.is_deaf(10_000));
        assert_eq!(hearing.prove(10_000), Some((0, 10_000)));
        assert_eq!(hearing.prove(12_500), None);
        assert_eq!(
            (hearing.since(), hearing.until(60_000)),
            (Some(10_000), 12_500)
        );
        // A way that says nothing at all is noticed by the clock alone.
        assert!(!hearing.is_deaf(15_000) && hearing.is_deaf(15_001));
        assert_eq!(hearing.prove(32_500), Some((12_500, 32_500)));
        hearing.fail();
        assert!(hearing.is_deaf(32_600));
        assert_eq!(hearing.prove(32_700), Some((32_500, 32_700)));
    }
}
