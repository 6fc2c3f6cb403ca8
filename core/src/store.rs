//! Where rides are stored.
//!
//! - [`batch`] arranges rides for any store; [`counters`]: the counters of a day.
//! - [`reader`] queries; [`leaders`]: the ranking of a day, which requires a scan.
//! - The stores: [`redis`] for a fleet, [`embedded`] in a data directory for one process.

pub mod batch;
pub mod counters;
pub mod embedded;
mod error;
pub mod leaders;
pub mod reader;
pub mod redis;

pub use error::StoreError;
pub use reader::{ArchivedFiles, Capacity, Reader, Repaired};

use crate::ride::Ride;

/// Result of a batch. Every ride in it was new, a duplicate, or is listed as refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// New rides.
    pub new: u64,
    /// Rides that were already stored, and copies within the batch.
    pub duplicates: u64,
    /// Rides that cannot be stored, each with the reason.
    pub refused: Vec<(Ride, String)>,
}
