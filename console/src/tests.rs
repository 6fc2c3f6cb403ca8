//! The console through its API, without a socket: on a folder of its own, with nodes that are told by memory.

mod access;
mod audit;
mod guards;
mod harness;
mod letters;
mod letters_again;
mod observed;
mod openapi;
mod plans;
mod publishing;
mod roles;
mod schema;
mod stats;
