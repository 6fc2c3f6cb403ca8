//! A computed random permutation, without a list of its elements.
//!
//! A Feistel network over two digits of base `a`, with `a` the square root of the space rounded up; what falls outside the
//! space is permuted again until it falls inside ("cycle walking"), which is a permutation of the space again. Black and
//! Rogaway, "Ciphers with Arbitrary Finite Domains", 2002. It is no cipher here: it only has to look random.

/// Rounds of the network. Four are enough for a random permutation of random functions (Luby and Rackoff, 1988).
const ROUNDS: usize = 4;

/// A random permutation of the numbers below `space`.
#[derive(Debug, Clone)]
pub struct Order {
    space: u128,
    /// Base of the two digits.
    base: u64,
    keys: [u64; ROUNDS],
}

impl Order {
    /// The permutation of the numbers below `space` (1 to 2^120) for a seed.
    #[must_use]
    pub fn new(space: u128, seed: u64) -> Self {
        let root = space.isqrt();
        let base = if root * root < space { root + 1 } else { root };
        let mut key = seed;
        let keys = std::array::from_fn(|_| {
            key = mix(key.wrapping_add(1));
            key
        });
        Self {
            space,
            base: u64::try_from(base.max(1)).unwrap_or(u64::MAX),
            keys,
        }
    }

    /// The number at an index; indexes from `space` on wrap around.
    #[must_use]
    pub fn at(&self, place: u128) -> u128 {
        let mut number = place % self.space;
        loop {
            number = self.permute(number);
            if number < self.space {
                return number;
            }
        }
    }

    fn permute(&self, number: u128) -> u128 {
        let base = u128::from(self.base);
        let (mut high, mut low) = ((number / base) as u64, (number % base) as u64);
        for key in self.keys {
            let sum = u128::from(high) + u128::from(mix(low ^ key) % self.base);
            (high, low) = (low, (sum % base) as u64);
        }
        u128::from(high) * base + u128::from(low)
    }
}

/// Bijectively mixes all 64 bits: the finaliser of splitmix64 (Steele, Lea, Flood, 2014).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_place() {
        for space in [1, 2, 3, 10, 99, 100, 101, 4099] {
            for seed in 0..5 {
                let order = Order::new(space, seed);
                let mut seen: Vec<u128> = (0..space).map(|place| order.at(place)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..space).collect::<Vec<_>>(), "{space} {seed}");
            }
        }
    }

    #[test]
    fn the_order_looks_random() {
        // Of 100,000 numbers in 100 equal parts each part gets about 1,000: chi-square with 99 degrees of freedom.
        let space = 144_000_000_000;
        let order = Order::new(space, 42);
        let mut parts = [0_f64; 100];
        for place in 0..100_000 {
            parts[(order.at(place) * 100 / space) as usize] += 1.0;
        }
        let chi_square: f64 = parts.iter().map(|n| (n - 1000.0).powi(2) / 1000.0).sum();
        assert!((50.0..170.0).contains(&chi_square), "{chi_square}");
    }
}
