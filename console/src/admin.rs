//! The admin API: JSON over HTTP, a thin surface over what the console does.
//!
//! - [`mod@router`]: every URL with its required role, as a table of contents.
//! - `auth`: authentication and roles. `extract`: request parsing. `error`: error responses.
//! - `login`: login and logout. `access`: users, tokens, keys. `queue`: queue, history, reconciliation and nodes. `fleet`:
//!   instances and their cost. `dead_letters`: dead letters. `settings`, `plans`, `audit`: desired settings, changes and the
//!   audit log. `tuning`: sweeps. `stats`: skiers and resorts; `archive`: archived days. `export`: the whole state.
//!   `openapi`: the OpenAPI document.

mod access;
mod archive;
mod audit;
mod auth;
mod dead_letters;
mod error;
mod export;
mod extract;
mod fleet;
mod login;
mod openapi;
mod plans;
mod queue;
mod router;
mod settings;
mod stats;
mod tuning;

pub(crate) use auth::origin;
pub(crate) use error::status_of;
#[cfg(test)]
pub(crate) use router::endpoints;
pub(crate) use router::{router, unknown_url};
