//! The queue and the store against real servers.
//!
//! Redis is started by each test file that needs one; RabbitMQ is the shared one that `make test` starts.

mod apply;
mod durability;
mod queue;
mod shared;
