//! Where rides are stored.
//!
//! [`batch`] arranges rides for the store, whichever it is; [`redis`] is the data model in Redis.

pub mod batch;
pub mod redis;
