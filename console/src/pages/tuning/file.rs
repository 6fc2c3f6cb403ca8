//! The report of a sweep as one file: without a script, a form, or anything from elsewhere. Its own policy allows its style sheet and
//! nothing else. Where a stricter policy forbids even that, as that of a build server, the charts are drawn by their attributes.

use askama::Template;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use super::content::Report;
use crate::pages::assets::style_sheet;
use crate::pages::html::{Markup, markup};
use crate::view::tuning::SweepView;

/// Elements that have their looks from the style sheet, and the same elements with attributes that stand for it. Text of others cannot
/// contain them: it is escaped.
const WITH_ATTRIBUTES: [(&str, &str); 16] = [
    (
        r#"<svg class="sprite""#,
        r#"<svg width="0" height="0" class="sprite""#,
    ),
    (
        r#"<svg class="i"#,
        r#"<svg width="16" height="16" class="i"#,
    ),
    (
        r#"<svg class="key"#,
        r#"<svg width="18" height="16" class="key"#,
    ),
    (
        r#"<svg class="sw""#,
        r#"<svg width="18" height="10" class="sw""#,
    ),
    (
        r#"<svg class="plot"#,
        r#"<svg width="90%" overflow="visible" fill="currentColor" stroke-width="1" class="plot"#,
    ),
    (
        r#"<g class="grid">"#,
        r#"<g stroke="none" text-anchor="end" font-size="12" class="grid">"#,
    ),
    (
        r#"<g class="axis-x">"#,
        r#"<g text-anchor="middle" font-size="12" class="axis-x">"#,
    ),
    (
        r#"<text class="axis-title""#,
        r#"<text text-anchor="middle" font-size="12" class="axis-title""#,
    ),
    (
        r#"<path class="line"#,
        r#"<path fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke" class="line"#,
    ),
    (
        r#"<path class="area"#,
        r#"<path fill-opacity=".15" class="area"#,
    ),
    (
        r#"<rect class="missed""#,
        r#"<rect fill-opacity=".05" class="missed""#,
    ),
    (
        r#"<g class="threshold"#,
        r#"<g stroke="currentColor" stroke-dasharray="5 4" class="threshold"#,
    ),
    (
        r#"<g class="obs">"#,
        r#"<g fill="none" stroke="currentColor" class="obs">"#,
    ),
    (
        r#"<g class="vmark">"#,
        r#"<g font-size="12" class="vmark">"#,
    ),
    (
        r#"<svg class="pt is-dominated"#,
        r#"<svg fill="none" stroke="currentColor" overflow="visible" font-size="12" class="pt is-dominated"#,
    ),
    (
        r#"<svg class="pt is-failed"#,
        r#"<svg stroke="currentColor" overflow="visible" font-size="12" class="pt is-failed"#,
    ),
];

#[derive(Template)]
#[template(path = "tuning-file.html")]
struct ReportFile {
    report: Report,
    /// A file has no forms.
    may_change: bool,
    /// The hash that its policy allows.
    style_hash: String,
    style_sheet: Markup,
}

/// The report of a sweep as an HTML file with everything it needs.
///
/// # Errors
/// If it cannot be rendered.
pub(crate) fn document(view: &SweepView) -> Result<String, askama::Error> {
    let style_sheet = style_sheet();
    let file = ReportFile {
        report: Report::of(view),
        may_change: false,
        style_hash: BASE64.encode(&Sha256::digest(style_sheet.as_bytes())),
        style_sheet: markup(style_sheet),
    };
    let mut text = file.render()?;
    for (element, with_attributes) in WITH_ATTRIBUTES {
        text = text.replace(element, with_attributes);
    }
    Ok(text)
}
