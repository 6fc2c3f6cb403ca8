//! The queue between accepting a ride and storing it.

pub mod rabbit;
