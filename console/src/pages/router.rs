//! All pages.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::{assets, login, nodes, overview, session};
use crate::console::Console;

/// The web console.
#[rustfmt::skip]
pub(crate) fn router(console: Arc<Console>) -> Router {
    // For users who are logged in.
    let pages = Router::new()
        .route("/",       get(overview::page))
        .route("/nodes",  get(nodes::page))
        .route("/logout", post(login::log_out))
        .layer(from_fn_with_state(Arc::clone(&console), session::require));
    let public = Router::new()
        .route("/login",         get(login::page).post(login::log_in))
        .route("/login/{code}",  get(login::by_link))
        .route("/theme",         post(session::set_theme))
        .route("/static/{hash}/{name}", get(assets::get));
    pages
        .merge(public)
        .layer(from_fn_with_state(Arc::clone(&console), session::protect))
        .with_state(console)
}
