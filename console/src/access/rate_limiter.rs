//! Rate limit of passwords and codes: a token bucket for each account and for each address, which refills slowly.
//!
//! The number of buckets is fixed: two names or addresses may share one, which only makes the limit stricter. So requests
//! with names that do not exist cannot use up memory.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Number of buckets for accounts, and the same number for addresses.
const BUCKETS: usize = 4096;
/// Attempts in a full bucket: of an account, and of an address, which many people may share.
const ACCOUNT: Limit = Limit {
    full: 10.0,
    per_ms: 1.0 / 30_000.0,
};
const ADDRESS: Limit = Limit {
    full: 30.0,
    per_ms: 1.0 / 5_000.0,
};

struct Limit {
    full: f64,
    per_ms: f64,
}

/// One bucket.
#[derive(Debug, Clone, Copy, Default)]
struct TokenBucket {
    /// Attempts that were taken and not refilled yet.
    taken: f64,
    at_ms: u64,
    /// Whether the current series of rejections has been audited.
    is_logged: bool,
}

/// Rate limiter for all accounts and addresses.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    hasher: RandomState,
    buckets: Mutex<Box<[TokenBucket]>>,
}

/// A rejected attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimited {
    /// When it may be retried, in milliseconds.
    pub(crate) retry_after_ms: u64,
    /// Whether it is the first rejection since an attempt was allowed, and should be audited.
    pub(crate) should_log: bool,
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            buckets: Mutex::new(vec![TokenBucket::default(); 2 * BUCKETS].into()),
        }
    }
}

impl RateLimiter {
    /// Takes an attempt from the buckets of an account and an address, where given.
    pub(crate) fn take(
        &self,
        account: Option<&str>,
        address: Option<IpAddr>,
        now_ms: u64,
    ) -> Result<(), RateLimited> {
        let places = self.places(account, address);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, limit) in &places {
            let bucket = &mut buckets[*place];
            bucket.fill(limit, now_ms);
            if let Some(missing) = bucket.missing(limit) {
                let should_log = !std::mem::replace(&mut bucket.is_logged, true);
                return Err(RateLimited {
                    retry_after_ms: (missing / limit.per_ms).ceil() as u64,
                    should_log,
                });
            }
        }
        for (place, _) in places {
            buckets[place].taken += 1.0;
            buckets[place].is_logged = false;
        }
        Ok(())
    }

    /// Returns an attempt that succeeded.
    pub(crate) fn give_back(&self, account: Option<&str>, address: Option<IpAddr>) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, _) in self.places(account, address) {
            buckets[place].taken = (buckets[place].taken - 1.0).max(0.0);
        }
    }

    fn places(
        &self,
        account: Option<&str>,
        address: Option<IpAddr>,
    ) -> Vec<(usize, &'static Limit)> {
        let place = |hash: u64| hash as usize % BUCKETS;
        let account = account.map(|name| (place(self.hasher.hash_one(name)), &ACCOUNT));
        let address = address.map(|address| {
            let place = place(self.hasher.hash_one(network(address)));
            (BUCKETS + place, &ADDRESS)
        });
        account.into_iter().chain(address).collect()
    }
}

impl TokenBucket {
    fn fill(&mut self, limit: &Limit, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.at_ms) as f64;
        self.taken = (self.taken - passed * limit.per_ms).max(0.0);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// The missing fraction of an attempt; `None` if one is available.
    fn missing(&self, limit: &Limit) -> Option<f64> {
        let missing = self.taken + 1.0 - limit.full;
        (missing > 0.0).then_some(missing)
    }
}

/// The network of an address: one IPv6 client has 2^64 addresses.
fn network(address: IpAddr) -> [u8; 8] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => network(address.into()),
            None => {
                let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
                network
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn allowed(
        limiter: &RateLimiter,
        tries: impl Iterator<Item = (String, u8)>,
        now_ms: u64,
    ) -> usize {
        tries
            .filter(|(name, last)| limiter.take(Some(name), here(*last), now_ms).is_ok())
            .count()
    }

    #[test]
    fn an_account_is_tried_a_few_times_from_wherever() {
        let limiter = RateLimiter::default();
        let everywhere = |_| ("heidi".to_owned(), rand::random());
        assert_eq!(allowed(&limiter, (0..1000).map(everywhere), 1_000_000), 10);
        assert_eq!(allowed(&limiter, (0..1000).map(everywhere), 1_061_000), 2);
    }

    #[test]
    fn an_address_tries_few_accounts() {
        let limiter = RateLimiter::default();
        let anybody = |number| (format!("user{number}"), 1);
        assert_eq!(allowed(&limiter, (0..1000).map(anybody), 1_000_000), 30);
        assert_eq!(
            allowed(&limiter, [("heidi".into(), 2)].into_iter(), 1_000_000),
            1
        );
    }

    #[test]
    fn a_refusal_says_how_long_and_is_news_once() {
        let limiter = RateLimiter::default();
        let take = |now_ms| limiter.take(Some("heidi"), None, now_ms);
        for _ in 0..10 {
            assert_eq!(take(1_000), Ok(()));
        }
        let refused = take(1_000).unwrap_err();
        assert_eq!((refused.retry_after_ms, refused.should_log), (30_000, true));
        assert!(!take(1_000).unwrap_err().should_log);
        assert_eq!(take(31_001), Ok(()));
        assert!(take(31_001).unwrap_err().should_log);
    }

    #[test]
    fn all_addresses_of_a_network_are_one() {
        let address = |text: &str| network(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }
}
