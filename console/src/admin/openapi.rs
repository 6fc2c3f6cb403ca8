//! The documentation of the admin API, as `GET /admin/v1/openapi.json` gives it. Every handler documents itself; the refusals
//! that all have in common are added here.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement};

use super::{access, audit, fleet, letters, login, plans, queue, settings, stats};
use crate::view::Problem;

/// The scheme by which tokens are shown.
const TOKEN: &str = "token";
/// What is open to everybody.
const OPEN: [&str; 2] = ["/admin/v1/login", "/admin/v1/openapi.json"];

/// What the handlers say of themselves.
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
        letters::letters,
        letters::letter,
        settings::settings,
        settings::history,
        plans::make,
        plans::plan,
        plans::apply,
        audit::audit,
        access::users,
        access::tokens,
        access::keys,
        stats::skier,
        stats::resort,
        stats::lifts,
        stats::hours,
        stats::top,
        document,
    ),
    components(schemas(Problem)),
    tags(
        (name = "Access", description = "Who may do what."),
        (name = "Queue and nodes", description = "What is observed."),
        (name = "Machines", description = "What nodes run on, and what it costs."),
        (name = "Settings and plans", description = "What shall be, how it changes, and who changed it."),
        (name = "Stats", description = "What is known of skiers and resorts."),
        (name = "Operation", description = "What the console tells of itself."),
    )
)]
struct Handlers;

/// The whole document, as JSON.
pub(super) fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        // Names, numbers and text always serialise.
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
            "What operators see and change. Every change is a plan first: POST it to /plans, look at it, and apply it. Every \
             refusal is JSON with a `message` and a `code`.",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    for (path, item) in &mut document.paths.paths {
        let takes_body = ["/login", "/plans", "/apply"]
            .iter()
            .any(|end| path.ends_with(end));
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            let mut refuse = |status: &str, why: &str| {
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::T(problem(why)));
            };
            refuse("500", "A fault of the console; its log says more");
            if takes_body {
                refuse("400", "The body cannot be understood");
                refuse("408", "The body did not arrive in time");
                refuse("413", "The body is too long");
                refuse("415", "The body is not JSON");
                refuse("422", "A guard refuses it");
            }
            if !OPEN.contains(&path.as_str()) {
                refuse("401", "No token, or one that counts for nothing");
                refuse("403", "The role is too small");
                refuse("422", "A guard refuses it");
                refuse("400", "The URL cannot be understood");
                let needed = SecurityRequirement::new(TOKEN, Vec::<String>::new());
                operation.security = Some(vec![needed]);
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
