//! Skilift's control plane: monitoring and changes for operators, with one set of rules for permissions, plans and audit.
//!
//! # Layout
//!
//! - [`view`]: the JSON of the admin API; [`view::change`]: the changes that operators can request.
//! - `boot`: puts the parts together, starts and serves them. `config`: its configuration. [`console`]: the parts. `state`: the state in its own data directory.
//! - `error`: why a request failed. `login`: logins and sessions. `access`: users, tokens, login codes. `audit`: who did what.
//! - `desired`: the desired state of the nodes; `settings` shows it, `publish` publishes it. `roster`: the known nodes.
//! - `sampler`: collects all state once a second: nodes (`registry`), rates and lag (`lag`), reconciliation (`producer_epochs`,
//!   `loss_detector`), `history`.
//! - `fleet`: the instances that nodes run on, and their cost. `archived_files`: whether archived days can be read.
//! - `dead_letters`: dead letters. `management`: figures of RabbitMQ's management API.
//! - `doctor`: checks of the deployment.
//! - `plan`: every change: planned, applied, and resumed after a crash.
//! - `tuning`: sweeps of node and thread counts under load.
//! - `stats`: skiers and resorts, from the store.
//! - `pages`: the web console. `admin`: the JSON API, a thin surface over these. `admin/router.rs` is its table of contents.
//!
//! Rides are processed without a console. A console works without Redis and RabbitMQ, and reports what it cannot read.

pub mod view;

mod access;
mod admin;
mod archived_files;
mod audit;
mod boot;
mod config;
mod dead_letters;
mod desired;
mod doctor;
mod error;
mod fleet;
mod history;
mod lag;
mod login;
mod loss_detector;
mod management;
mod pages;
mod plan;
mod producer_epochs;
mod publish;
mod registry;
mod roster;
mod sampler;
mod settings;
mod state;
mod stats;
mod tuning;

pub mod console;

#[cfg(test)]
mod tests;

pub use boot::{serve, start};
pub use config::{ConsoleConfig, ConsoleError, EngineKind, Seeds};
pub use console::{Console, Sources};
pub use doctor::Checks;
pub use fleet::prices::{Prices, PricesError};
pub use management::ManagementSource;
pub use tuning::LoadCommand;
