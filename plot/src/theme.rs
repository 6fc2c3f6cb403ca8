//! Colours, dashes and markers.

use svg::node::element::Element;

use super::document::{element, px};

/// The colours of all charts, in light and dark mode. A page that embeds fragments serves it from its own origin.
///
/// Plain rules without custom properties, which renderers outside browsers do not support.
pub const STYLESHEET: &str = include_str!("plot.css");

/// Style of a series: a colour that colour-blind readers can also distinguish (after Okabe and Ito, "Color Universal Design", 2008,
/// darkened or lightened to a contrast of 4.5:1), and its own dash and marker, to be distinguishable in greyscale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Solid, circle.
    Blue,
    /// Dash-dot, triangle.
    Orange,
    /// Dashes, square.
    Green,
    /// Long dashes, diamond.
    Purple,
    /// Short dashes, inverted triangle.
    Ochre,
    /// Dots, hollow circle.
    Grey,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Blue => "plot-blue",
            Tone::Orange => "plot-orange",
            Tone::Green => "plot-green",
            Tone::Purple => "plot-purple",
            Tone::Ochre => "plot-ochre",
            Tone::Grey => "plot-grey",
        }
    }

    /// The value of `stroke-dasharray`.
    pub(super) fn dash(self) -> &'static str {
        match self {
            Tone::Blue => "none",
            Tone::Orange => "9 3 2 3",
            Tone::Green => "5 4",
            Tone::Purple => "12 4",
            Tone::Ochre => "3 2",
            Tone::Grey => "1.5 3",
        }
    }

    /// A marker about 8 px wide around a point.
    pub(super) fn marker(self, x: f64, y: f64) -> Element {
        let outline = match self {
            Tone::Blue => return circle(x, y, false),
            Tone::Grey => return circle(x, y, true),
            Tone::Orange => "l4.5 7.5h-9z",
            Tone::Green => "m-3.5 0h7v7h-7z",
            Tone::Purple => "l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
            Tone::Ochre => "m-4.5 0h9l-4.5 7.5z",
        };
        let top = match self {
            Tone::Green => 3.5,
            Tone::Purple => 4.5,
            _ => 4.0,
        };
        let d = format!("M{} {}{outline}", px(x), px(y - top));
        element("path", [("d", d), ("stroke", "none".into())])
    }
}

fn circle(x: f64, y: f64, hollow: bool) -> Element {
    let mut circle = element(
        "circle",
        [
            ("cx", px(x)),
            ("cy", px(y)),
            ("r", "3.5".into()),
            ("stroke-width", "1.5".into()),
        ],
    );
    if hollow {
        svg::Node::assign(&mut circle, "fill", "none");
    }
    circle
}

#[cfg(test)]
mod tests {
    use super::*;

    const TONES: [Tone; 6] = [
        Tone::Blue,
        Tone::Orange,
        Tone::Green,
        Tone::Purple,
        Tone::Ochre,
        Tone::Grey,
    ];

    /// The colour that a class has in one half of the stylesheet.
    fn colour(rules: &str, class: &str) -> String {
        let (_, rule) = rules.split_once(&format!(".{class} {{")).unwrap();
        let (_, colour) = rule.split_once('#').unwrap();
        colour[..6].to_owned()
    }

    /// Relative luminance as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_lines_stand_out_in_both_themes() {
        let (light, dark) = STYLESHEET.split_once("@media").unwrap();
        for rules in [light, dark] {
            let ground = colour(rules, "plot-ground");
            for class in ["plot-ink", "plot-muted"] {
                assert!(
                    contrast(&colour(rules, class), &ground) >= 4.5,
                    "{class} is text"
                );
            }
            assert!(contrast(&colour(rules, "plot-axis"), &ground) >= 3.0);
            for tone in TONES {
                assert!(
                    contrast(&colour(rules, tone.class()), &ground) >= 4.5,
                    "{tone:?} on {ground}"
                );
            }
        }
    }

    #[test]
    fn tones_differ_without_colour() {
        let dashes: std::collections::BTreeSet<_> = TONES.map(Tone::dash).into();
        let markers: std::collections::BTreeSet<_> =
            TONES.map(|tone| tone.marker(0.0, 0.0).to_string()).into();
        assert_eq!((dashes.len(), markers.len()), (TONES.len(), TONES.len()));
    }
}
