//! The ledger's form of a ride: three bytes with minute and lift.
//!
//! Resort day and skier are the key and field of the bytes. Eleven bits of minute are above ten bits of lift, big endian, so
//! that comparing bytes compares times.

use crate::ride::{LiftId, Minute, Ride};

/// Bytes of one packed ride.
pub const PACKED_BYTES: usize = 3;

/// The most rides that one skier can have on one day: one per minute.
pub const MAX_RIDES_PER_SKIER_DAY: usize = Minute::MAX as usize;

/// Bits of the lift below the minute.
const LIFT_BITS: u32 = 10;

/// Minute and lift of one ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boarding {
    /// The minute of the day.
    pub minute: Minute,
    /// The lift.
    pub lift: LiftId,
}

impl Boarding {
    /// The three bytes: `minute << 10 | lift`, big endian.
    #[must_use]
    pub fn pack(self) -> [u8; PACKED_BYTES] {
        let bits = u32::from(self.minute.get()) << LIFT_BITS | u32::from(self.lift.get());
        let [_, high, middle, low] = bits.to_be_bytes();
        [high, middle, low]
    }

    /// Parses the output of [`Self::pack`].
    ///
    /// # Errors
    /// If minute or lift is out of range.
    pub fn unpack([high, middle, low]: [u8; PACKED_BYTES]) -> Result<Self, CorruptLedger> {
        let bits = u32::from_be_bytes([0, high, middle, low]);
        let minute = Minute::new(u64::from(bits >> LIFT_BITS));
        let lift = LiftId::new(u64::from(bits & ((1 << LIFT_BITS) - 1)));
        match (minute, lift) {
            (Ok(minute), Ok(lift)) => Ok(Self { minute, lift }),
            _ => Err(CorruptLedger::NotARide([high, middle, low])),
        }
    }
}

impl From<&Ride> for Boarding {
    fn from(ride: &Ride) -> Self {
        Self {
            minute: ride.minute,
            lift: ride.lift,
        }
    }
}

/// Unexpected bytes in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorruptLedger {
    /// The length is no multiple of three.
    #[error("a ledger entry has {0} bytes, which is not a multiple of 3")]
    Length(usize),
    /// Three bytes that are not a minute and a lift.
    #[error("a ledger entry holds the bytes {0:02x?}, which are not a ride")]
    NotARide([u8; PACKED_BYTES]),
}

/// Reads a skier's day, in the order in which it was written.
///
/// # Errors
/// If the bytes are not complete packed rides.
pub fn unpack_all(bytes: &[u8]) -> Result<Vec<Boarding>, CorruptLedger> {
    let (rides, rest) = bytes.as_chunks::<PACKED_BYTES>();
    if !rest.is_empty() {
        return Err(CorruptLedger::Length(bytes.len()));
    }
    rides.iter().copied().map(Boarding::unpack).collect()
}

/// Reads a skier's day, by time.
///
/// # Errors
/// As [`unpack_all`].
pub fn unpack_sorted(bytes: &[u8]) -> Result<Vec<Boarding>, CorruptLedger> {
    let mut rides = unpack_all(bytes)?;
    rides.sort_unstable();
    Ok(rides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boarding(minute: u64, lift: u64) -> Boarding {
        Boarding {
            minute: Minute::new(minute).unwrap(),
            lift: LiftId::new(lift).unwrap(),
        }
    }

    #[test]
    fn has_the_documented_layout() {
        assert_eq!(boarding(217, 21).pack(), [0x03, 0x64, 0x15]);
        assert_eq!(boarding(1440, 1000).pack(), [0x16, 0x83, 0xe8]);
    }

    #[test]
    fn refuses_foreign_bytes() {
        assert_eq!(unpack_all(&[1, 2]), Err(CorruptLedger::Length(2)));
        assert_eq!(
            unpack_all(&[0, 0, 0]),
            Err(CorruptLedger::NotARide([0, 0, 0]))
        );
        assert_eq!(
            unpack_all(&[255; 3]),
            Err(CorruptLedger::NotARide([255; 3]))
        );
    }

    proptest! {
        #[test]
        fn survives_packing_and_keeps_the_order(a in (1..=1440_u64, 1..=1000_u64), b in (1..=1440_u64, 1..=1000_u64)) {
            let (a, b) = (boarding(a.0, a.1), boarding(b.0, b.1));
            prop_assert_eq!(Boarding::unpack(a.pack()), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.pack().cmp(&b.pack()));
        }
    }
}
