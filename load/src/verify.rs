//! What became of the rides: every one that was accepted is asked for, until it answers or nothing moves any more.
//!
//! - `prepare`: before the run, how this server can be asked. `skier_days`: the rides that may be there, by skier day.
//! - `crawl`: asks for many skier days at once. `lists`: holds ride lists against what was sent, `verticals`: day verticals,
//!   on servers without lists. `rounds`: asks again and again.
//!
//! What the words mean is defined in `docs/load.md` and at [`Verification`].

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

/// What was found of the rides of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// What the server was asked for.
    pub method: MethodName,
    /// Rides that were accepted.
    pub accepted: u64,
    /// Rides that may be there or not: there was no answer, or one that does not tell.
    pub unknown: u64,
    /// Accepted rides that are there.
    pub found: u64,
    /// Accepted rides that are not there although the server answers for their skier day, and nothing moves any more. By
    /// day verticals it is the least number of rides that explains what is missing.
    pub lost: u64,
    /// Rides that are listed more than once, and skier days whose vertical is not the sum of their rides.
    pub wrong: u64,
    /// Accepted rides that could not be asked for, could not be compared, or still wait in the server's queue.
    pub pending: u64,
    /// Rides on the skier days of this run that it did not send; by verticals, skier days with more than was sent.
    pub foreign: u64,
    /// Skier days that were asked for.
    pub skier_days: u64,
    /// Skier days whose vertical could be compared with the sum of their rides.
    pub verticals_compared: u64,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// What the reader should know of this comparison.
    pub note: Option<String>,
    /// Some of what is lost, wrong or pending.
    pub examples: Vec<String>,
}

/// What a server was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    /// The rides of each skier day.
    RideLists,
    /// The vertical of each skier day, before and after.
    DayVerticals,
}

/// Most examples that are told.
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
