//! Verification of the rides: reads every accepted ride until it is found or there is no more progress.
//!
//! - `prepare`: selection of the method before the run. `skier_days`: the possibly stored rides, by skier day.
//! - `crawl`: reads many skier days concurrently. `lists`: compares ride lists with the sent rides, `verticals`: day verticals,
//!   on servers without lists. `rounds`: repeated reads.
//!
//! The terms are defined in `docs/load.md` and at [`Verification`].

mod crawl;
mod lists;
mod prepare;
mod rounds;
mod skier_days;
mod verticals;

use serde::Serialize;

pub use self::prepare::PrepareError;
pub(crate) use self::prepare::prepare;
pub(crate) use self::rounds::check;

/// Result of the verification of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// The method.
    pub method: MethodName,
    /// Accepted rides.
    pub accepted: u64,
    /// Rides that may or may not be stored: no response, or an unclear one.
    pub unknown: u64,
    /// Accepted rides that are stored.
    pub found: u64,
    /// Accepted rides that are missing although the server responds for their skier day and there is no more progress. With
    /// day verticals it is the minimum number of rides that explains the missing vertical.
    pub lost: u64,
    /// Rides that are listed more than once, and skier days whose vertical is not the sum of their rides.
    pub wrong: u64,
    /// Accepted rides that could not be read or compared, or are still in the server's queue.
    pub pending: u64,
    /// Rides on the skier days of this run that it did not send; with verticals, skier days with more than was sent.
    pub foreign: u64,
    /// Skier days that were read.
    pub skier_days: u64,
    /// Skier days whose vertical could be compared with the sum of their rides.
    pub verticals_compared: u64,
    /// Duration in seconds.
    pub took_s: f64,
    /// Note on this comparison.
    pub note: Option<String>,
    /// Examples of lost, wrong or pending rides.
    pub examples: Vec<String>,
}

/// Method of the verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    /// The rides of each skier day.
    RideLists,
    /// The vertical of each skier day, before and after.
    DayVerticals,
}

/// Maximum number of examples.
const EXAMPLES: usize = 10;

impl Verification {
    pub(crate) fn new(method: MethodName) -> Self {
        Self {
            method,
            accepted: 0,
            unknown: 0,
            found: 0,
            lost: 0,
            wrong: 0,
            pending: 0,
            foreign: 0,
            skier_days: 0,
            verticals_compared: 0,
            took_s: 0.0,
            note: None,
            examples: Vec::new(),
        }
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}
