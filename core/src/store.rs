//! Where rides are stored.
//!
//! - [`batch`] arranges rides for the store, whichever it is; [`counters`] is what it counts of a day.
//! - [`reader`] is how questions are asked; [`leaders`] are what takes a scan.
//! - The stores: [`redis`] for a fleet, [`embedded`] in a data folder for one process.

pub mod batch;
pub mod counters;
pub mod embedded;
mod error;
pub mod leaders;
pub mod reader;
pub mod redis;

pub use error::StoreError;
pub use reader::{Capacity, Reader, Repaired};

use crate::ride::Ride;

/// What became of a batch. Every ride in it was new, a duplicate, or is listed as refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rides that were not there before.
    pub new: u64,
    /// Rides that were there before, and copies within the batch.
    pub duplicates: u64,
    /// Rides that cannot be stored, each with the reason.
    pub refused: Vec<(Ride, String)>,
}
