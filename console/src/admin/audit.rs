//! The audit.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiQuery, check_exact, limit};
use crate::audit::{AuditFilter, page};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::{AuditOutcome, AuditView};

/// Query of audit entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only entries with smaller numbers.
    #[param(maximum = 9007199254740991_i64)]
    before: Option<u64>,
    /// Maximum number; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only actions of this user or token.
    who: Option<String>,
    /// Only this action: "login", "plan", "apply".
    action: Option<String>,
    /// Only this outcome.
    outcome: Option<AuditOutcome>,
    /// Only entries since this time, in milliseconds since 1970.
    #[param(maximum = 9007199254740991_i64)]
    since_ms: Option<u64>,
}

/// Who did what, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/audit",
    operation_id = "getAudit",
    tag = "Settings and plans",
    params(AuditQuery),
    responses((status = 200, description = "Lines", body = AuditView)),
)]
pub(crate) async fn audit(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<AuditQuery>,
) -> Result<ApiJson<AuditView>, ApiError> {
    let limit = limit(query.limit, 50, 500)?;
    check_exact("before", query.before)?;
    check_exact("since_ms", query.since_ms)?;
    let filter = AuditFilter {
        actor: query.who,
        action: query.action,
        outcome: query.outcome,
        since_ms: query.since_ms,
    };
    let reading = tokio::task::spawn_blocking(move || page(&console, &filter, query.before, limit));
    Ok(ApiJson(reading.await.map_err(Error::internal)??))
}
