//! The store in a data folder: the same ledger, counters and indexes as in Redis, as tables of one database.
//!
//! - `ledger`: what a batch changes, as one atomic write. `books`: what is counted of it. [`reader`]: answers questions.
//!
//! The ledger is the data here too; but counters and indexes change with it in one write, so that no crash parts them.

pub(crate) mod books;
pub(crate) mod ledger;
pub mod reader;
mod repair;

pub use reader::EmbeddedReader;
