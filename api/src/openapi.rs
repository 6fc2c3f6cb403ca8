//! The OpenAPI document of the public API, served as `GET /openapi.json`.
//!
//! Every handler documents itself; this module adds what follows from a URL or a body alone: the numbers in the path, both
//! spellings of `day`, and the common errors.

mod common;
pub(crate) mod number;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::InfoBuilder;

use crate::{bulk, days, index, readiness, resorts, rides, skiers, statistics};

/// The documentation of the handlers.
#[derive(OpenApi)]
#[openapi(
    paths(
        rides::post_ride,
        rides::day_vertical,
        rides::day_rides,
        skiers::vertical,
        skiers::days,
        resorts::list,
        resorts::seasons,
        resorts::add_season,
        resorts::days,
        days::skiers,
        days::lifts,
        days::lift,
        days::hours,
        days::top,
        bulk::post_rides,
        index::index,
        statistics::statistics,
        document,
        readiness::readyz,
    ),
    tags(
        (name = "Rides", description = "Rides posted by lift gates."),
        (name = "Skiers", description = "Statistics of a skier."),
        (name = "Resorts", description = "The resorts and their seasons."),
        (name = "Resort days", description = "Statistics of a resort on one day."),
        (name = "Operation", description = "State of the server."),
    )
)]
struct Handlers;

/// The complete document as JSON.
#[must_use]
pub fn json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        // Names, numbers and text always serialise.
        build().to_json().unwrap_or_default()
    });
    &JSON
}

fn build() -> utoipa::openapi::OpenApi {
    let mut document = Handlers::openapi();
    document.info = InfoBuilder::new()
        .title("Skilift")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Accepts ski lift rides and serves queries about them. `day` and `days` are both accepted wherever \
            one of them occurs in a URL. Every error is JSON with a `message`.",
        ))
        .build();
    common::complete(&mut document);
    document
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getDocument",
    tag = "Operation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
pub(crate) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// One line per operation: its parameters and its responses.
    fn operations(document: &Value) -> String {
        let mut lines = String::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let names = |value: &Value| -> Vec<String> {
                    value
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, _)| key.clone())
                        .collect()
                };
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let parameters: Vec<String> = parameters
                    .map(|p| {
                        format!(
                            "{}:{}",
                            p["in"].as_str().unwrap(),
                            p["name"].as_str().unwrap()
                        )
                    })
                    .collect();
                lines += &format!(
                    "{method} {path}\n    {} ({}) {} -> {}\n",
                    operation["operationId"].as_str().unwrap(),
                    parameters.join(" "),
                    names(&operation["requestBody"]["content"]).join(" "),
                    names(&operation["responses"]).join(" "),
                );
            }
        }
        lines
    }

    #[test]
    fn is_what_outsiders_were_told() {
        let document: Value = serde_json::from_str(json()).unwrap();
        insta::assert_snapshot!("operations", operations(&document));
        insta::assert_json_snapshot!("schemas", document["components"]["schemas"]);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(json()).unwrap();
        let mut seen = 0;
        for reference in json().split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            seen += 1;
        }
        assert!(seen > 100, "{seen}");
    }
}
