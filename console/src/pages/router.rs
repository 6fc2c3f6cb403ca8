//! All pages.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use super::live::{self, LivePages};
use super::{
    access, assets, audit, dead_letters, doctor, fleet, login, node, nodes, overview, plans, queue,
    rides, session, settings, setup,
};
use crate::console::Console;

/// The web console. Its streams end when `drain` is cancelled.
#[rustfmt::skip]
pub(crate) fn router(console: &Arc<Console>, drain: CancellationToken) -> Router {
    // Pages that a stream keeps up to date.
    let live = Router::new()
        .route("/",                  get(overview::page))
        .route("/queue",             get(queue::page))
        .route("/dead-letters",      get(dead_letters::page))
        .route("/dead-letters/{id}", get(dead_letters::page_of))
        .route("/nodes",             get(nodes::page))
        .route("/nodes/{id}",        get(node::page))
        .route("/fleet",             get(fleet::page))
        .route("/settings",          get(settings::page))
        .route("/plans/{id}",        get(plans::page))
        .route("/audit",             get(audit::page))
        .with_state(Arc::clone(console));
    let streams = LivePages::new(Arc::clone(console), live.clone(), drain);
    // For users who are logged in.
    let pages = Router::new()
        .route("/live",              get(live::stream).with_state(streams))
        .route("/queue/history.csv", get(queue::csv))
        .route("/rides",             get(rides::page))
        .route("/rides/skiers/{skier}", get(rides::skier))
        .route("/rides/resorts/{resort}/seasons/{season}/days/{day}", get(rides::day))
        .route("/audit/{number}",    get(audit::entry))
        .route("/audit.csv",         get(audit::csv))
        .route("/access",            get(access::page))
        .route("/doctor",            get(doctor::page).post(doctor::run))
        .route("/plans",             post(plans::make))
        .route("/plans/{id}/apply",  get(plans::applied).post(plans::apply))
        .route("/logout",            post(login::log_out))
        .with_state(Arc::clone(console))
        .merge(live)
        .layer(from_fn_with_state(Arc::clone(console), session::require));
    let public = Router::new()
        .route("/login",         get(login::page).post(login::log_in))
        .route("/login/{code}",  get(login::by_link))
        .route("/setup",         get(setup::page).post(setup::create))
        .route("/theme",         post(session::set_theme))
        .with_state(Arc::clone(console));
    pages
        .merge(public)
        .route("/static/{hash}/{name}", get(assets::get))
        .layer(from_fn_with_state(Arc::clone(console), session::protect))
        .layer(CompressionLayer::new())
}
