//! `GET /`: name, version and documentation of this server.

use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::ApiJson;

/// Server information.
#[derive(Serialize, ToSchema)]
pub(crate) struct Index {
    /// "Skilift".
    service: &'static str,
    /// Its version.
    version: &'static str,
    /// The path of its OpenAPI document.
    openapi: &'static str,
    /// Path of the readiness check.
    ready: &'static str,
}

/// Server information
#[utoipa::path(
    get,
    path = "/",
    operation_id = "getIndex",
    tag = "Operation",
    responses((status = 200, description = "Name, version and documentation of the server", body = Index)),
)]
pub(crate) async fn index() -> ApiJson<Index> {
    ApiJson(Index {
        service: "Skilift",
        version: env!("CARGO_PKG_VERSION"),
        openapi: "/openapi.json",
        ready: "/readyz",
    })
}
