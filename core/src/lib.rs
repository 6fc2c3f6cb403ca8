//! Skilift's domain and its ports.
//!
//! # Layout
//!
//! - [`ride`]: what a lift ride is, with every number's range in its type; [`packed`]: the three bytes it becomes in the
//!   ledger; [`message`]: the lines in which it travels.
//! - [`catalogue`]: the resorts that a deployment knows.
//! - [`control`]: what passes between the nodes and the console. [`books`]: the proof that no ride was lost.
//! - [`queue`]: the way of a ride from its acceptance to a worker. [`store`]: where it is kept and how questions are asked.
//!   [`engine`]: both behind one port, as a worker sees them.
//! - [`embedded`]: the data folder that is queue and store of a single process.
//! - [`lifecycle`]: signals, tracked tasks, drain and exit. [`health`]: the private listener for health and metrics.
//!
//! This crate knows no public HTTP and no cloud: whatever speaks to a skier or to an operator lives above it.

pub mod ride;

pub mod books;
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
pub mod retry;
pub mod service_url;
pub mod stack;
pub mod store;
