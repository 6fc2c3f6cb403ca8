//! The whole system as its users run it: real processes, real RabbitMQ, real Redis, and what can happen to each.
//!
//! - `service`: a running `skictl`. `system`: an API and a worker on servers of their own.
//! - `load`: clients that send rides and remember every answer. `proof`: holds what is stored against what was answered.
//! - `load_command`: `skictl load` against an API and a worker.
//! - Then the crashes, one file for whom they hit, and the starts that must fail with a clear message.

mod load;
mod proof;
mod service;
mod system;

mod bad_start;
mod broker_crashes;
mod dead_letters;
mod load_command;
mod process_crashes;
mod store_crashes;
