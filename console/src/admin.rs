//! The admin API: JSON over HTTP, a thin surface over what the console does.
//!
//! - [`mod@router`]: every URL with the role that it asks for, as a table of contents.
//! - `auth`: who asks. `extract`: how requests are read. `error`: how refusals look.
//! - `login`: the way in and out. `access`: users, tokens, keys. `queue`: queue, history, books and nodes. `fleet`: machines
//!   and their cost. `letters`: dead letters. `settings`, `plans`, `audit`: what shall be, how it changes, and who changed it. `stats`: skiers and resorts.
//!   `openapi`: the description of it all.

mod access;
mod audit;
mod auth;
mod error;
mod extract;
mod fleet;
mod letters;
mod login;
mod openapi;
mod plans;
mod queue;
mod router;
mod settings;
mod stats;

pub(crate) use error::ApiError;
#[cfg(test)]
pub(crate) use router::endpoints;
pub(crate) use router::router;
