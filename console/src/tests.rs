//! The console through its API, without a socket: on a folder of its own, with nodes that receive their state in memory.

mod access;
mod audit;
mod gone;
mod guards;
mod harness;
mod letters;
mod letters_again;
mod machines;
mod observed;
mod openapi;
mod pages;
mod plans;
mod publishing;
mod records;
mod roles;
mod scale;
mod schema;
mod stats;
mod tuning;
