//! Skilift's domain model and its interfaces.
//!
//! # Layout
//!
//! - [`ride`]: a lift ride, with every number's range in its type; [`packed`]: its three bytes in the ledger; [`message`]:
//!   its format in the queue.
//! - [`catalogue`]: the resorts of a deployment.
//! - [`control`]: data exchanged between nodes and console. [`reconciliation`]: the proof that no accepted ride was lost.
//! - [`archive`]: days that were moved to files. [`redis_error`]: errors of Redis in its own words.
//! - [`queue`]: from the acceptance of a ride to a worker. [`store`]: storage and queries. [`engine`]: both behind one
//!   trait, for workers.
//! - [`embedded`]: the data directory: queue and store of a single process.
//! - [`lifecycle`]: signals, tracked tasks, drain and exit. [`health`]: the private listener for health and metrics.
//!
//! This crate contains no public HTTP and no cloud code: interfaces for skiers and operators are in other crates.

pub mod ride;

pub mod archive;
pub mod catalogue;
pub mod clock;
pub mod control;
pub mod embedded;
pub mod engine;
pub mod health;
pub mod lifecycle;
pub mod message;
pub mod packed;
pub mod queue;
pub mod ranged;
pub mod reconciliation;
pub mod redis_error;
pub mod retry;
pub mod service_url;
pub mod stack;
pub mod store;
