//! Queue and store on both engines: RabbitMQ and Redis as real servers, and data folders.
//!
//! - `engines`: both engines. `queue`, `live_settings`, `apply`, `books`, `books_model`, `repair`: what must hold on either.
//!   `rabbit`, `redis`, `durability`, `folder`: what is particular to one. `control`, `agent`: what passes between nodes and
//!   console, and `memory` what stays of it.
//!
//! Redis is started by each test that may disturb it; otherwise it and RabbitMQ are the shared ones that `make test` starts.

mod agent;
mod apply;
mod archive;
mod books;
mod books_model;
mod control;
mod durability;
mod engines;
mod folder;
mod live_settings;
mod memory;
mod queue;
mod rabbit;
mod redis;
mod repair;
mod shared;
