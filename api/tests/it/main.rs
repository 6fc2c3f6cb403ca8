//! The public API against a real RabbitMQ and a real Redis, over HTTP.
//!
//! Each test runs an API of its own, in a stack of its own, on the servers that `make test` starts. What an API accepts is
//! read from its queue; what it answers about is written by the store's own writer.

mod harness;

mod bulk;
mod days;
mod operation;
mod raw;
mod refusals;
mod resorts;
mod rides;
mod skiers;
