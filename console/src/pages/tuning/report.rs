//! A sweep: its progress while it runs, and then its report; and the report as a file.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawPathParams, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::content::{Report, sub};
use super::file;
use super::grid::Grid;
use super::running::Running;
use crate::console::Console;
use crate::error::Error;
use crate::pages::error::{PageError, render};
use crate::pages::head::Head;
use crate::pages::visitor::{Visitor, path};
use crate::tuning;
use crate::view::tuning::{SweepState, SweepView};
use crate::view::tuning_csv;

#[derive(Template)]
#[template(path = "tuning-report.html")]
struct ReportPage {
    head: Head,
    id: String,
    sub: String,
    running: Option<Running>,
    grid: Option<Grid>,
    /// The report; `None` while the sweep runs.
    report: Option<Report>,
    may_change: bool,
}

/// A form of a report that is a file.
#[derive(Clone, Copy)]
enum FileForm {
    Json,
    Csv,
    Html,
}

impl FileForm {
    /// The ID of the sweep, and the form that the extension names.
    fn of(name: &str) -> (&str, Option<Self>) {
        match name.rsplit_once('.') {
            Some((id, "json")) => (id, Some(Self::Json)),
            Some((id, "csv")) => (id, Some(Self::Csv)),
            Some((id, "html")) => (id, Some(Self::Html)),
            _ => (name, None),
        }
    }

    fn file(self, view: &SweepView) -> Result<Response, Error> {
        let (extension, content_type, text) = match self {
            Self::Json => (
                "json",
                "application/json",
                serde_json::to_string_pretty(view).map_err(Error::internal)?,
            ),
            Self::Csv => (
                "csv",
                "text/csv; charset=utf-8",
                tuning_csv::csv(view).map_err(Error::internal)?,
            ),
            Self::Html => (
                "html",
                "text/html; charset=utf-8",
                file::document(view).map_err(Error::internal)?,
            ),
        };
        let name = format!("attachment; filename=\"skilift-{}.{extension}\"", view.id);
        let headers = [
            (header::CONTENT_TYPE, content_type.to_owned()),
            (header::CONTENT_DISPOSITION, name),
        ];
        Ok((headers, text).into_response())
    }
}

/// `GET /tuning/{id}`; with `.json`, `.csv` or `.html` at its end, the report as a file.
pub(in crate::pages) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let (id, form) = FileForm::of(path(&parts, "id"));
    let (of, id) = (Arc::clone(&console), id.to_owned());
    // The models are fitted for each answer.
    let reading = tokio::task::spawn_blocking(move || {
        let view = tuning::view(&of, &id)?;
        let file = form.map(|form| form.file(&view)).transpose()?;
        Ok::<_, Error>((view, file))
    });
    let (view, file) = reading.await.map_err(Error::internal)??;
    if let Some(file) = file {
        return Ok(file);
    }
    let is_running = view.state == SweepState::Running;
    // A stream that began while it ran also replaces the progress by the report.
    let is_stream = visitor.caller.token.is_empty();
    let mut head = Head::new(&console, &visitor, "/tuning", format!("Sweep {}", view.id));
    head.is_live = is_running || is_stream;
    Ok(render(&ReportPage {
        id: view.id.clone(),
        sub: sub(&view),
        running: Running::of(&view).filter(|_| is_running),
        grid: Grid::of(&view).filter(|_| is_running),
        report: (!is_running).then(|| Report::of(&view)),
        may_change: head.may_change,
        head,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_names_a_file() {
        for (name, id, is_file) in [
            ("t7", "t7", false),
            ("t7.json", "t7", true),
            ("t7.csv", "t7", true),
            ("t7.html", "t7", true),
            ("t7.exe", "t7.exe", false),
        ] {
            let (of, form) = FileForm::of(name);
            assert_eq!((of, form.is_some()), (id, is_file), "{name}");
        }
    }
}
