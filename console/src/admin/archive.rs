//! Archived days.

use std::sync::Arc;

use axum::extract::State;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::console::Console;
use crate::view::Problem;
use crate::view::archive::{ArchiveView, ArchivedDayView};

/// Archived days
///
/// A change moves days to the archive and back. The files are checked for presence and size here, and for their hashes when they are
/// restored or archived again.
#[utoipa::path(
    get,
    path = "/admin/v1/archive",
    operation_id = "listArchive",
    tag = "Stats",
    responses(
        (status = 200, description = "The archived days; empty if there are none", body = ArchiveView),
        (status = 503, description = "The store is unavailable", body = Problem),
    ),
)]
pub(crate) async fn archive(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<ArchiveView>, ApiError> {
    let days = console.sources.reader.archived_days(&|_| true).await?;
    let directory = console.config.archive.as_ref();
    Ok(ApiJson(ArchiveView {
        directory: directory.map(|path| path.display().to_string()),
        days: days
            .into_iter()
            .map(|files| ArchivedDayView {
                resort: files.day.resort.get().into(),
                season: files.day.season.to_string(),
                day: files.day.day.get().into(),
                rides: files.archived.rides,
                skiers: files.archived.skiers,
                bytes: files.archived.bytes,
                sha256: files.archived.sha256,
                archived_at_ms: files.archived.archived_at_ms,
                fault: files.fault,
            })
            .collect(),
    }))
}
