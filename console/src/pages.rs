//! The web console: pages for people, by the same rules as the admin API.
//!
//! - `router`: all pages. `session`: who is logged in, and protection against requests of other sites. `assets`: style sheet,
//!   script and icon. `html`: parts that several pages have.
//! - One file per page: what it shows, and its handlers. The templates are in `templates/`.
//!
//! Pages decide nothing: they show snapshots and call the same functions as the admin API.

mod assets;
mod error;
mod head;
mod html;
mod login;
mod nodes;
mod overview;
mod router;
mod session;

pub(crate) use error::PageError;
pub(crate) use router::router;
