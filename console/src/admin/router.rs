//! Every URL of the admin API, with the lowest role that may call it.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::auth::{RoutePolicy, authorize};
use super::error::ApiError;
use super::{
    access, archive, audit, dead_letters, export, fleet, login, openapi, plans, queue, settings,
    stats, tuning,
};
use crate::console::Console;
use crate::error::Error;
use crate::view::access::UserRole;
use crate::view::access::UserRole::{Admin, Operator, Viewer};

/// Prefix of every URL.
const PREFIX: &str = "/admin/v1";

/// The admin API.
pub(crate) fn router(console: Arc<Console>) -> Router {
    routes(console).build()
}

/// All routes and their required roles. `docs/operations.md` has the same table.
#[rustfmt::skip]
fn routes(console: Arc<Console>) -> Routes {
    Routes::new(console)
        // Login and logout
        .post(None,         "/login",  login::login)
        .post(Some(Viewer), "/logout", login::logout)
        .get(Some(Viewer),  "/whoami", login::whoami)
        // Observed state
        .get(Some(Viewer),  "/queue", queue::queue)
        .get(Some(Viewer),  "/queue/history", queue::history)
        .get(Some(Viewer),  "/reconciliation", queue::books)
        .get(Some(Viewer),  "/nodes", queue::nodes)
        .get(Some(Viewer),  "/nodes/{id}", queue::node)
        .get(Some(Viewer),  "/dead-letters", dead_letters::dead_letters)
        .get(Some(Viewer),  "/dead-letters/{id}", dead_letters::dead_letter)
        .get(Some(Viewer),  "/fleet", fleet::fleet)
        .get(Some(Viewer),  "/cost", fleet::cost)
        // Settings and changes
        .get(Some(Viewer),    "/settings", settings::settings)
        .get(Some(Viewer),    "/settings/{section}/history", settings::history)
        .get(Some(Viewer),    "/plans", plans::list)
        .post(Some(Operator), "/plans", plans::make)
        .get(Some(Viewer),    "/plans/{id}", plans::plan)
        .post(Some(Operator), "/plans/{id}/apply", plans::apply)
        .post(Some(Operator), "/plans/{id}/cancel", plans::cancel)
        .get(Some(Viewer),    "/audit", audit::audit)
        // Sweeps
        .get(Some(Viewer),    "/tuning", tuning::list)
        .post(Some(Operator), "/tuning", tuning::start)
        .get(Some(Viewer),    "/tuning/{id}", tuning::sweep)
        .post(Some(Operator), "/tuning/{id}/stop", tuning::stop)
        .post(Some(Operator), "/tuning/{id}/resume", tuning::resume)
        .get(Some(Viewer),    "/capacity", tuning::capacity_of)
        // Statistics of skiers and resorts
        .get(Some(Viewer),  "/stats/skiers/{skier}", stats::skier)
        .get(Some(Viewer),  "/stats/resorts", stats::resorts)
        .get(Some(Viewer),  "/stats/resorts/{resort}/seasons", stats::seasons)
        .get(Some(Viewer),  "/stats/resorts/{resort}/seasons/{season}/days", stats::days)
        .get(Some(Viewer),  "/stats/resorts/{resort}/seasons/{season}/days/{day}", stats::resort)
        .get(Some(Viewer),  "/stats/resorts/{resort}/seasons/{season}/days/{day}/lifts", stats::lifts)
        .get(Some(Viewer),  "/stats/resorts/{resort}/seasons/{season}/days/{day}/hours", stats::hours)
        .get(Some(Viewer),  "/stats/resorts/{resort}/seasons/{season}/days/{day}/top", stats::top)
        .get(Some(Viewer),  "/archive", archive::archive)
        // Users, tokens and keys
        .get(Some(Viewer),  "/users", access::users)
        .get(Some(Viewer),  "/tokens", access::tokens)
        .get(Some(Viewer),  "/keys", access::keys)
        // The whole state, and the OpenAPI document
        .get(Some(Admin),   "/export", export::export)
        .get(None,          "/openapi.json", openapi::document)
}

/// A row of the table.
#[cfg(test)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) role: Option<UserRole>,
}

/// The table, for tests of every row.
#[cfg(test)]
pub(crate) fn endpoints(console: Arc<Console>) -> Vec<Endpoint> {
    routes(console).listed
}

/// Builds the router; each route gets its role check.
struct Routes {
    router: Router<Arc<Console>>,
    #[cfg(test)]
    listed: Vec<Endpoint>,
    console: Arc<Console>,
}

impl Routes {
    fn new(console: Arc<Console>) -> Self {
        Self {
            router: Router::new(),
            #[cfg(test)]
            listed: Vec::new(),
            console,
        }
    }

    fn get<H: Handler<T, Arc<Console>>, T: 'static>(
        self,
        role: Option<UserRole>,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.on("GET", role, path, get(handler))
    }

    fn post<H: Handler<T, Arc<Console>>, T: 'static>(
        self,
        role: Option<UserRole>,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.on("POST", role, path, post(handler))
    }

    fn on(
        mut self,
        method: &'static str,
        role: Option<UserRole>,
        path: &'static str,
        methods: MethodRouter<Arc<Console>>,
    ) -> Self {
        let policy = RoutePolicy {
            console: Arc::clone(&self.console),
            role,
            method,
            path,
        };
        #[cfg(test)]
        self.listed.push(Endpoint { method, path, role });
        let policy = from_fn_with_state(policy, authorize);
        let guarded = methods.layer(policy);
        self.router = self.router.route(&format!("{PREFIX}{path}"), guarded);
        self
    }

    fn build(self) -> Router {
        self.router
            .method_not_allowed_fallback(method_not_allowed)
            .layer(map_response(no_store))
            .with_state(self.console)
    }
}

/// Answers may contain secrets, and numbers that are outdated after a second.
async fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer for a URL of the admin API that does not exist.
pub(crate) fn unknown_url(uri: &Uri) -> ApiError {
    let shown: String = uri.path().chars().take(100).collect();
    Error::not_found(format!("{shown} not found; see {PREFIX}/openapi.json")).into()
}

async fn method_not_allowed() -> ApiError {
    ApiError::from(Error::invalid("method not allowed (see Allow header)"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}
