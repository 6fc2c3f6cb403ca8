//! The audit.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiQuery, check_exact, limit};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::{AuditEntry, AuditView};

/// Maximum entries read per query, when few of them match.
const MAX_READ: usize = 20_000;
/// Entries per read.
const PAGE: usize = 500;

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
    let reading = tokio::task::spawn_blocking(move || read(&console, &query, limit));
    Ok(ApiJson(reading.await.map_err(Error::internal)??))
}

fn read(console: &Console, query: &AuditQuery, limit: usize) -> Result<AuditView, ApiError> {
    let fits = |line: &AuditEntry| {
        query.who.as_ref().is_none_or(|who| line.actor == *who)
            && query
                .action
                .as_ref()
                .is_none_or(|action| line.action == *action)
    };
    let mut entries = Vec::new();
    let mut before = query.before.unwrap_or(u64::MAX);
    for _ in 0..MAX_READ / PAGE {
        let lines = console.state.audit_before(before, PAGE)?;
        let is_end = lines.len() < PAGE;
        for line in lines {
            before = line.number;
            if fits(&line) {
                entries.push(line);
            }
            if entries.len() == limit {
                let next = (before > 1).then_some(before);
                return Ok(AuditView { entries, next });
            }
        }
        if is_end {
            return Ok(AuditView {
                entries,
                next: None,
            });
        }
    }
    let next = Some(before);
    Ok(AuditView { entries, next })
}
