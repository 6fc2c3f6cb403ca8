//! How often a password or code may be tried: for each account and for each address a bucket of attempts that fills again
//! slowly.
//!
//! The buckets are few thousand, whoever tries: two names or addresses may share one, which only makes it emptier. So nobody
//! makes it grow by trying names that do not exist.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Buckets of accounts, and as many of addresses.
const BUCKETS: usize = 4096;
/// Attempts that a full bucket has: of an account, and of an address, behind which there may be many people.
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
struct Bucket {
    /// Attempts that were taken out and not filled in again.
    taken: f64,
    at_ms: u64,
    /// Whether the refusal of the present drought was told.
    was_told: bool,
}

/// The buckets of all accounts and addresses.
#[derive(Debug)]
pub(crate) struct Attempts {
    hasher: RandomState,
    buckets: Mutex<Box<[Bucket]>>,
}

/// An attempt that may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// After how long it may be, in milliseconds.
    pub(crate) retry_after_ms: u64,
    /// Whether it is the first one since one was allowed, and worth telling.
    pub(crate) is_news: bool,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            buckets: Mutex::new(vec![Bucket::default(); 2 * BUCKETS].into()),
        }
    }
}

impl Attempts {
    /// Takes an attempt for an account, where there is a name, from an address, where it is known.
    pub(crate) fn take(
        &self,
        account: Option<&str>,
        address: Option<IpAddr>,
        now_ms: u64,
    ) -> Result<(), TooMany> {
        let places = self.places(account, address);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, limit) in &places {
            let bucket = &mut buckets[*place];
            bucket.fill(limit, now_ms);
            if let Some(missing) = bucket.missing(limit) {
                let is_news = !std::mem::replace(&mut bucket.was_told, true);
                return Err(TooMany {
                    retry_after_ms: (missing / limit.per_ms).ceil() as u64,
                    is_news,
                });
            }
        }
        for (place, _) in places {
            buckets[place].taken += 1.0;
            buckets[place].was_told = false;
        }
        Ok(())
    }

    /// Gives an attempt back: it was right.
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

impl Bucket {
    fn fill(&mut self, limit: &Limit, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.at_ms) as f64;
        self.taken = (self.taken - passed * limit.per_ms).max(0.0);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// How much of an attempt is missing; `None` where there is one.
    fn missing(&self, limit: &Limit) -> Option<f64> {
        let missing = self.taken + 1.0 - limit.full;
        (missing > 0.0).then_some(missing)
    }
}

/// Whom an address stands for: in version 6 everybody has 2^64 of them.
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
        attempts: &Attempts,
        tries: impl Iterator<Item = (String, u8)>,
        now_ms: u64,
    ) -> usize {
        tries
            .filter(|(name, last)| attempts.take(Some(name), here(*last), now_ms).is_ok())
            .count()
    }

    #[test]
    fn an_account_is_tried_a_few_times_from_wherever() {
        let attempts = Attempts::default();
        let everywhere = |_| ("heidi".to_owned(), rand::random());
        assert_eq!(allowed(&attempts, (0..1000).map(everywhere), 1_000_000), 10);
        assert_eq!(allowed(&attempts, (0..1000).map(everywhere), 1_061_000), 2);
    }

    #[test]
    fn an_address_tries_few_accounts() {
        let attempts = Attempts::default();
        let anybody = |number| (format!("user{number}"), 1);
        assert_eq!(allowed(&attempts, (0..1000).map(anybody), 1_000_000), 30);
        assert_eq!(
            allowed(&attempts, [("heidi".into(), 2)].into_iter(), 1_000_000),
            1
        );
    }

    #[test]
    fn a_refusal_says_how_long_and_is_news_once() {
        let attempts = Attempts::default();
        let take = |now_ms| attempts.take(Some("heidi"), None, now_ms);
        for _ in 0..10 {
            assert_eq!(take(1_000), Ok(()));
        }
        let refused = take(1_000).unwrap_err();
        assert_eq!((refused.retry_after_ms, refused.is_news), (30_000, true));
        assert!(!take(1_000).unwrap_err().is_news);
        assert_eq!(take(31_001), Ok(()));
        assert!(take(31_001).unwrap_err().is_news);
    }

    #[test]
    fn all_addresses_of_a_network_are_one() {
        let address = |text: &str| network(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }
}
