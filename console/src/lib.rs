//! Skilift's control plane: what operators see and change, under one set of rules for permission, plan and audit.
//!
//! # Layout
//!
//! - [`view`]: what operators see, and [`view::change`] what they may ask for. It is also the JSON of the admin API.
//! - [`console`]: the one object that all of it hangs on, and how it starts. `state`: what it keeps in its own folder.
//! - `access`: users, tokens, login codes. `audit`: who did what.
//! - `desired`: what the nodes shall do; `settings` shows it, `publish` tells the nodes. `roster`: which nodes there are.
//! - `sampler`: one look a second at everything: the nodes (`registry`), rates and lag (`lag`), the books (`lives`, `verdict`), how
//!   it was (`history`).
//! - `fleet`: the machines that nodes run on, and what they cost.
//! - `letters`: dead letters. `management`: what RabbitMQ says of itself.
//! - `plan`: every change, planned, applied, and gone on with after a crash.
//! - `stats`: skiers and resorts, from the store.
//! - `admin`: the JSON API, a thin surface over these. `admin/router.rs` is its table of contents.
//!
//! Rides flow without a console, and a console works, and says what it does not know, without Redis and RabbitMQ.

pub mod view;

mod access;
mod admin;
mod audit;
mod desired;
mod fleet;
mod history;
mod lag;
mod letters;
mod lives;
mod management;
mod plan;
mod publish;
mod registry;
mod roster;
mod sampler;
mod settings;
mod state;
mod stats;
mod verdict;

pub mod console;

#[cfg(test)]
mod tests;

pub use console::{Console, ConsoleConfig, ConsoleError, EngineKind, Seeds, Sources, serve, start};
pub use fleet::prices::{Prices, PricesError};
pub use management::ManagementSource;
