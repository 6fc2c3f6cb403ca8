//! The page that shows a report: the summary and the charts, which are files beside it.

use askama::Template;

/// `index.html`
#[derive(Debug, Template)]
#[template(path = "report.html")]
pub(super) struct IndexPage<'a> {
    pub(super) caption: &'a str,
    /// The run in one line.
    pub(super) verdict: &'a str,
    /// The summary as text.
    pub(super) text: &'a str,
    /// File and title of each chart.
    pub(super) charts: Vec<(&'a str, &'a str)>,
    /// The files with the figures.
    pub(super) files: [&'a str; 3],
}
