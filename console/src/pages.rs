//! The web console: pages for people, by the same rules as the admin API.
//!
//! - `router`: all pages. `session`: who is logged in, and protection against requests of other sites. `visitor`: who asks.
//! - `live`: streams that keep open pages up to date. `assets`: style sheet, scripts and icon.
//! - `head`: what every page begins with. `html`, `charts`: parts that several pages have. `change_form`: the forms that plan changes.
//!   `refused_form`: shows the page of such a form again.
//! - One file per page: what it shows, and its handlers. The templates are in `templates/`.
//!
//! Pages decide nothing: they show snapshots and call the same functions as the admin API.

mod access;
mod assets;
mod audit;
mod change_form;
mod charts;
mod dead_letters;
mod doctor;
mod error;
mod fleet;
mod head;
mod html;
mod live;
mod login;
mod node;
mod nodes;
mod overview;
mod plans;
mod queue;
mod refused_form;
mod rides;
mod router;
mod session;
mod settings;
mod setup;
pub(crate) mod tuning;
mod visitor;

pub(crate) use error::not_found;
pub(crate) use router::router;
