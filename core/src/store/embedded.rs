//! The store in a data directory: the same ledger, counters and indexes as in Redis, as tables of one database.
//!
//! - `ledger`: the changes of a batch, as one atomic write. `reconciliation`: reconciliation. [`reader`]: queries.
//!
//! The ledger is the data here as well; but counters and indexes change with it in one write, so a crash cannot make them
//! differ.

pub(crate) mod ledger;
pub mod reader;
pub(crate) mod reconciliation;
mod repair;

pub use reader::EmbeddedReader;
