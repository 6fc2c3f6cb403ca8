//! Durations recorded between two heartbeats, in the format of a heartbeat.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// Significant digits of a duration.
const DIGITS: u8 = 3;

/// Collects durations until they are taken.
#[derive(Debug)]
pub struct Durations(Mutex<Histogram<u64>>);

/// Text that is not a histogram.
#[derive(Debug, thiserror::Error)]
#[error("not an HdrHistogram in its V2 form as base64")]
pub struct UnreadableDurations;

impl Durations {
    /// A histogram for durations from 1 to `most`, in any unit; longer ones count as `most`, and 0 stays 0.
    ///
    /// # Panics
    /// When `most` is below 2.
    #[must_use]
    pub fn up_to(most: u64) -> Self {
        let empty = Histogram::new_with_max(most, DIGITS);
        Self(Mutex::new(empty.expect("`most` is at least 2")))
    }

    /// Records a duration `times` times.
    pub fn record(&self, duration: u64, times: u64) {
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        histogram.saturating_record_n(duration, times);
    }

    /// What was recorded since the last call: an `HdrHistogram` in its V2 form, base64. `None` if nothing was recorded.
    #[must_use]
    pub fn take(&self) -> Option<String> {
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if histogram.is_empty() {
            return None;
        }
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&*histogram, &mut bytes);
        histogram.reset();
        // Writing to memory cannot fail.
        written.ok().map(|_| STANDARD.encode(bytes))
    }

    /// Parses the output of [`Self::take`].
    ///
    /// # Errors
    /// If the text is not a histogram.
    pub fn read(text: &str) -> Result<Histogram<u64>, UnreadableDurations> {
        let bytes = STANDARD.decode(text).map_err(|_| UnreadableDurations)?;
        let read = Deserializer::new().deserialize(&mut &bytes[..]);
        read.map_err(|_| UnreadableDurations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_survives_its_text_and_is_taken_once() {
        let durations = Durations::up_to(86_400_000);
        assert_eq!(durations.take(), None);
        durations.record(5, 90);
        durations.record(2000, 10);
        durations.record(u64::MAX, 1);
        let read = Durations::read(&durations.take().unwrap()).unwrap();
        assert_eq!(
            (
                read.len(),
                read.value_at_quantile(0.5),
                read.value_at_quantile(0.98)
            ),
            (101, 5, 2000)
        );
        assert!(read.max() >= 86_400_000);
        assert_eq!(durations.take(), None);
        assert!(Durations::read("HISTFAAA").is_err() && Durations::read("%").is_err());
    }
}
