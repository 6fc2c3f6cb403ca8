//! The public API over HTTP, on a real RabbitMQ and a real Redis, and on a data folder.
//!
//! Each test runs an API of its own, in a stack of its own on the servers that `make test` starts, or in a folder of its own.
//! What an API accepts is taken from its queue, and what it answers about is put into its store, as a worker does both.

mod harness;
mod outside;

mod bulk;
mod days;
mod ingest;
mod node;
mod operation;
mod raw;
mod refusals;
mod resorts;
mod rides;
mod skiers;
