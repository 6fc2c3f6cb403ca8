//! All pages.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use super::live::{self, LivePages};
use super::refused_form::FormPages;
use super::{
    access, assets, audit, dead_letters, doctor, fleet, login, node, nodes, overview, plans, queue,
    rides, session, settings, setup, tuning,
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
        .route("/tuning",            get(tuning::page))
        .route("/tuning/{id}",       get(tuning::report::page))
        .route("/plans",             get(plans::list::page))
        .route("/plans/{id}",        get(plans::page))
        .route("/audit",             get(audit::page))
        .with_state(Arc::clone(console));
    let streams = LivePages::new(Arc::clone(console), live.clone(), drain);
    let access = get(access::page).with_state(Arc::clone(console));
    // Those pages and these have forms that plan changes.
    let rides = get(rides::page).with_state(Arc::clone(console));
    let with_forms = live.route("/access", access).route("/rides", rides);
    let forms = FormPages::new(Arc::clone(console), with_forms.clone());
    // For users who are logged in.
    let pages = Router::new()
        .route("/live",              get(live::stream).with_state(streams))
        .route("/queue/history.csv", get(queue::csv))
        .route("/rides/skiers/{skier}", get(rides::skier))
        .route("/rides/resorts/{resort}/seasons/{season}/days/{day}", get(rides::day))
        .route("/audit/{number}",    get(audit::entry))
        .route("/audit.csv",         get(audit::csv))
        .route("/doctor",            get(doctor::page).post(doctor::run))
        .route("/plans",             post(plans::make).with_state(Arc::clone(&forms)))
        .route("/tuning",            post(tuning::start).with_state(forms))
        .route("/capacity",          get(tuning::capacity::page))
        .route("/tuning/{id}/stop",  get(tuning::back).post(tuning::stop))
        .route("/tuning/{id}/resume", get(tuning::back).post(tuning::resume))
        .route("/tuning/{id}/plan",  get(tuning::back).post(tuning::plan))
        .route("/plans/{id}/apply",  get(plans::back).post(plans::apply))
        .route("/plans/{id}/cancel", get(plans::back).post(plans::cancel))
        .route("/logout",            post(login::log_out))
        .with_state(Arc::clone(console))
        .merge(with_forms)
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
