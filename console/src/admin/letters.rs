//! Dead letters.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, limit};
use crate::console::Console;
use crate::view::Problem;
use crate::view::letters::{LetterView, LettersView};

/// Which letters are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LettersQuery {
    /// Only older ones: what `next` said.
    before: Option<String>,
    /// At most so many; left out: 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only those with this in their reason, in capitals or not.
    reason: Option<String>,
}

/// Dead letters, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/letters",
    operation_id = "getLetters",
    tag = "Queue and nodes",
    params(LettersQuery),
    responses(
        (status = 200, description = "Dead letters", body = LettersView),
        (status = 400, description = "A parameter is out of its range", body = Problem),
    ),
)]
pub(crate) async fn letters(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<LettersQuery>,
) -> Result<ApiJson<LettersView>, ApiError> {
    let limit = limit(query.limit, 50, 500)?;
    let before = match query.before.as_deref().map(str::parse) {
        None => u64::MAX,
        Some(Ok(before)) => before,
        Some(Err(_)) => {
            let problem = "before must be what `next` said, a whole number";
            return Err(ApiError::invalid(problem));
        }
    };
    let reading = tokio::task::spawn_blocking(move || {
        console.letters.list(before, limit, query.reason.as_deref())
    });
    Ok(ApiJson(reading.await.map_err(ApiError::internal)??))
}

/// A dead letter
#[utoipa::path(
    get,
    path = "/admin/v1/letters/{id}",
    operation_id = "getLetter",
    tag = "Queue and nodes",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The letter with its whole line", body = LetterView),
        (status = 404, description = "There is no such letter", body = Problem),
    ),
)]
pub(crate) async fn letter(
    State(console): State<Arc<Console>>,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<LetterView>, ApiError> {
    let found = console.letters.show(&id)?;
    let shown: String = id.chars().take(100).collect();
    let none = || ApiError::not_found(format!("there is no dead letter {shown:?}"));
    Ok(ApiJson(found.ok_or_else(none)?))
}
