//! Dead letters.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, limit};
use crate::console::Console;
use crate::error::Error;
use crate::view::Problem;
use crate::view::dead_letters::{DeadLetterView, DeadLettersView};

/// Query of dead letters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLettersQuery {
    /// Only older ones: the value of `next`.
    before: Option<String>,
    /// Maximum number; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only those whose reason contains this text, ignoring case.
    reason: Option<String>,
}

/// Dead letters, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/dead-letters",
    operation_id = "getLetters",
    tag = "Queue and nodes",
    params(DeadLettersQuery),
    responses(
        (status = 200, description = "Dead letters", body = DeadLettersView),
        (status = 400, description = "A parameter is out of range", body = Problem),
    ),
)]
pub(crate) async fn dead_letters(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<DeadLettersQuery>,
) -> Result<ApiJson<DeadLettersView>, ApiError> {
    let limit = limit(query.limit, 50, 500)?;
    let before = match query.before.as_deref().map(str::parse) {
        None => u64::MAX,
        Some(Ok(before)) => before,
        Some(Err(_)) => {
            let problem = "before must be the value of `next`, a whole number";
            return Err(Error::invalid(problem).into());
        }
    };
    let reading = tokio::task::spawn_blocking(move || {
        console
            .dead_letters
            .list(before, limit, query.reason.as_deref(), None)
    });
    Ok(ApiJson(reading.await.map_err(Error::internal)??))
}

/// A dead letter
#[utoipa::path(
    get,
    path = "/admin/v1/dead-letters/{id}",
    operation_id = "getLetter",
    tag = "Queue and nodes",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The dead letter with its whole line", body = DeadLetterView),
        (status = 404, description = "The dead letter does not exist", body = Problem),
    ),
)]
pub(crate) async fn dead_letter(
    State(console): State<Arc<Console>>,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<DeadLetterView>, ApiError> {
    let found = console.dead_letters.show(&id)?;
    let shown: String = id.chars().take(100).collect();
    let none = || Error::not_found(format!("dead letter {shown:?} does not exist"));
    Ok(ApiJson(found.ok_or_else(none)?))
}
