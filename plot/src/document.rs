//! The frame of every chart: the root element with its accessible names, and the rendering of text and coordinates.

use svg::Node;
use svg::node::element::Element;

use super::STYLESHEET;

/// Margin around a chart, in px.
pub(super) const MARGIN: f64 = 16.0;
/// Size of all text except the title, in px.
pub(super) const TEXT_SIZE: f64 = 13.0;
/// Size of the title, in px.
const TITLE_SIZE: f64 = 18.0;

/// Title, subtitle and accessible description of a chart.
pub(super) struct Heading<'a> {
    /// Prefix of the IDs within the chart: letters, digits and hyphens, unique on its page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) description: &'a str,
}

impl Heading<'_> {
    /// Top of the drawing below title and subtitle, in px.
    pub(super) fn bottom(&self) -> f64 {
        if self.subtitle.is_empty() { 40.0 } else { 58.0 }
    }
}

/// The chart as an `svg` element: standalone with a stylesheet and a background, or as part of a page that has both.
pub(super) fn picture(
    heading: &Heading,
    (width, height): (f64, f64),
    body: Vec<Element>,
    stands_alone: bool,
) -> String {
    let id = plain_id(heading.id);
    let mut root = element(
        "svg",
        [
            ("xmlns", "http://www.w3.org/2000/svg".into()),
            ("class", "plot".into()),
            ("role", "img".into()),
            ("aria-labelledby", format!("{id}-title {id}-desc")),
            ("viewBox", format!("0 0 {} {}", px(width), px(height))),
            ("font-size", px(TEXT_SIZE)),
            ("font-family", "system-ui, sans-serif".into()),
        ],
    );
    let mut named = |name: &str, id: String, content: &str| {
        let mut child = element(name, [("id", id)]);
        child.append(svg::node::Text::new(legible(content)));
        root.append(child);
    };
    named("title", format!("{id}-title"), heading.title);
    named("desc", format!("{id}-desc"), heading.description);
    if stands_alone {
        root.assign("width", px(width));
        root.assign("height", px(height));
        let mut style = element("style", []);
        style.append(svg::node::Text::new(STYLESHEET));
        root.append(style);
        let whole = [("width", px(width)), ("height", px(height))];
        let mut ground = element("rect", whole);
        ground.assign("class", "plot-ground");
        root.append(ground);
    }
    let room = width - 2.0 * MARGIN;
    let title = fitted(heading.title, TITLE_SIZE, room);
    let mut title = text(MARGIN, 30.0, "start", "plot-ink", &title);
    title.assign("font-size", px(TITLE_SIZE));
    title.assign("font-weight", "600");
    root.append(title);
    if !heading.subtitle.is_empty() {
        let subtitle = fitted(heading.subtitle, TEXT_SIZE, room);
        root.append(text(MARGIN, 50.0, "start", "plot-muted", &subtitle));
    }
    for child in body {
        root.append(child);
    }
    format!("{root}\n")
}

/// An element with attributes.
pub(super) fn element<const N: usize>(name: &str, attributes: [(&str, String); N]) -> Element {
    let mut element = Element::new(name);
    for (name, value) in attributes {
        element.assign(name, value);
    }
    element
}

/// A group whose children inherit the colours of a class, or without a stylesheet those of the surrounding text.
pub(super) fn group(class: &str, children: impl IntoIterator<Item = Element>) -> Element {
    let mut group = element(
        "g",
        [
            ("class", class.into()),
            ("fill", "currentColor".into()),
            ("stroke", "currentColor".into()),
        ],
    );
    for child in children {
        group.append(child);
    }
    group
}

/// A text whose baseline starts, ends or is centred (`anchor`) at a point.
pub(super) fn text(x: f64, y: f64, anchor: &str, class: &str, content: &str) -> Element {
    let mut text = element(
        "text",
        [
            ("x", px(x)),
            ("y", px(y)),
            ("text-anchor", anchor.into()),
            ("class", class.into()),
            ("fill", "currentColor".into()),
        ],
    );
    text.append(svg::node::Text::new(legible(content)));
    text
}

/// A straight line.
pub(super) fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Element {
    element(
        "line",
        [
            ("x1", px(x1)),
            ("y1", px(y1)),
            ("x2", px(x2)),
            ("y2", px(y2)),
        ],
    )
}

/// A coordinate, to a tenth of a px.
pub(super) fn px(value: f64) -> String {
    debug_assert!(value.is_finite(), "a coordinate is {value}");
    let written = format!("{value:.1}");
    let short = written.strip_suffix(".0").unwrap_or(&written);
    if short == "-0" {
        "0".into()
    } else {
        short.into()
    }
}

/// Estimated width of a text in px; rather too large than too small, because the reader's font is unknown.
pub(super) fn width_of(content: &str, size: f64) -> f64 {
    let letter = |letter: char| match letter {
        ' ' | ',' | '.' | ':' | 'i' | 'l' | 'j' | 't' | 'f' | 'r' | '(' | ')' => 0.4,
        'm' | 'w' | 'M' | 'W' | '%' => 0.95,
        letter if letter.is_ascii() => 0.62,
        _ => 1.0,
    };
    content.chars().map(letter).sum::<f64>() * size
}

/// The text, cut to a width with an ellipsis.
pub(super) fn fitted(content: &str, size: f64, room: f64) -> String {
    if width_of(content, size) <= room {
        return content.to_owned();
    }
    let mut kept = String::new();
    for letter in content.chars() {
        kept.push(letter);
        if width_of(&kept, size) > room - size {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// The ID with a hyphen for everything that is neither a letter nor a digit.
pub(super) fn plain_id(id: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    id.chars().map(plain).collect()
}

/// The text with U+FFFD for characters that XML 1.0 does not allow, even escaped.
pub(super) fn legible(content: &str) -> String {
    let holds = |letter: char| {
        matches!(letter, '\t' | '\n' | '\r')
            || (letter >= ' ' && !matches!(letter, '\u{FFFE}' | '\u{FFFF}'))
    };
    content
        .chars()
        .map(|letter| {
            if holds(letter) {
                letter
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

/// A share of the width, to a hundredth of a percent.
pub(super) fn percent(share: f64) -> String {
    let written = format!("{:.2}", share * 100.0);
    let short = written.trim_end_matches('0').trim_end_matches('.');
    format!("{short}%")
}

/// Text for content and quoted attributes, of HTML and of XML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in legible(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [px(0.04), px(-0.04), px(12.0), px(12.25)],
            ["0", "0", "12", "12.2"]
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_cut() {
        assert_eq!(fitted("short", 13.0, 100.0), "short");
        let cut = fitted("a name that goes on and on and on", 13.0, 100.0);
        assert!(cut.ends_with('…') && width_of(&cut, 13.0) <= 100.0, "{cut}");
    }
}
