//! The OpenAPI document of the admin API, served at `GET /admin/v1/openapi.json`. Every handler documents itself; error
//! responses that all have in common are added here.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement};

use super::{
    access, archive, audit, dead_letters, export, fleet, login, plans, queue, settings, stats,
    tuning,
};
use crate::view::Problem;

/// Name of the security scheme.
const TOKEN: &str = "token";
/// Public URLs.
const OPEN: [&str; 2] = ["/admin/v1/login", "/admin/v1/openapi.json"];

/// Descriptions of the handlers.
#[derive(OpenApi)]
#[openapi(
    paths(
        login::login,
        login::logout,
        login::whoami,
        queue::queue,
        queue::history,
        queue::books,
        queue::nodes,
        queue::node,
        fleet::fleet,
        fleet::cost,
        dead_letters::dead_letters,
        dead_letters::dead_letter,
        settings::settings,
        settings::history,
        plans::list,
        plans::make,
        plans::plan,
        plans::apply,
        plans::cancel,
        audit::audit,
        tuning::list,
        tuning::start,
        tuning::sweep,
        tuning::stop,
        tuning::resume,
        tuning::capacity_of,
        access::users,
        access::tokens,
        access::keys,
        stats::skier,
        stats::resorts,
        stats::seasons,
        stats::days,
        stats::resort,
        stats::lifts,
        stats::hours,
        stats::top,
        archive::archive,
        export::export,
        document,
    ),
    components(schemas(Problem)),
    tags(
        (name = "Access", description = "Login, users, tokens and ingest keys."),
        (name = "Queue and nodes", description = "Observed state of queue and nodes."),
        (name = "Machines", description = "The instances that nodes run on, and their cost."),
        (name = "Settings and plans", description = "Desired settings, changes and the audit log."),
        (name = "Tuning", description = "Sweeps: which numbers of nodes and threads meet an objective at the lowest cost."),
        (name = "Stats", description = "Statistics of skiers and resorts."),
        (name = "Operation", description = "Information about the console itself."),
    )
)]
struct Handlers;

/// The whole document, as JSON.
pub(super) fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        // Names, numbers and text can always be serialised.
        build().to_json().unwrap_or_default()
    });
    &JSON
}

fn build() -> utoipa::openapi::OpenApi {
    let mut document = Handlers::openapi();
    document.info = InfoBuilder::new()
        .title("Skilift console")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Monitor and change a stack. Every change is planned first: POST it to /plans, review the plan, and apply it. Every error is JSON with a `message` and a `code`.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    for (path, item) in &mut document.paths.paths {
        let takes_body = ["/login", "/plans", "/apply", "/tuning"]
            .iter()
            .any(|end| path.ends_with(end));
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            let mut refuse = |status: &str, why: &str| {
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(problem(why)));
            };
            refuse("500", "Internal error; see the console's log");
            if takes_body {
                refuse("400", "The body is invalid");
                refuse("408", "The body upload timed out");
                refuse("413", "The body is too large");
                refuse("415", "The body is not JSON");
                refuse("422", "A guard refuses it");
            }
            if !OPEN.contains(&path.as_str()) {
                refuse("401", "The token is missing, invalid or expired");
                refuse("403", "The role is not sufficient");
                refuse("422", "A guard refuses it");
                refuse("400", "The URL is invalid");
                let needed = SecurityRequirement::new(TOKEN, Vec::<String>::new());
                operation.security = Some(vec![needed]);
                if takes_body {
                    refuse("429", "EC2 throttles the console's calls");
                    refuse("503", "The queue, the store or EC2 is unavailable");
                }
            }
        }
    }
    document
}

fn problem(why: &str) -> utoipa::openapi::Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description(why)
        .content("application/json", Content::new(Some(schema)))
        .build()
}

/// This document
#[utoipa::path(
    get,
    path = "/admin/v1/openapi.json",
    operation_id = "getDocument",
    tag = "Operation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
    security(()),
)]
pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], json())
}
