//! The frame of charts over two axes of numbers: the root element, the grid and the ticks of both axes.

use super::document::{escaped, percent, plain_id, px};
use super::scale::Axis;

/// Height of the drawing without the labels of the horizontal axis, in px.
pub(super) const HEIGHT: f64 = 360.0;
/// Width of the stretched part, in its own units.
pub(super) const WIDTH: f64 = 1_000.0;

/// The two axes of a chart.
pub(super) struct Plane {
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Plane {
    /// The start of the chart: root element, accessible names and grid.
    pub(super) fn start(&self, id: &str, title: &str, description: &str) -> String {
        let id = plain_id(id);
        let mut svg = format!(
            "<svg class=\"plot plot-x2\" height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n<title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n<g class=\"grid\">\n",
            escaped(title),
            escaped(description)
        );
        for (place, tick) in self.y.ticks.iter().enumerate() {
            let y = self.y_of(tick.value);
            let class = if place == 0 { r#" class="base""# } else { "" };
            svg += &format!(
                "<line{class} x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/><text x=\"-8\" y=\"{1}\">{2}</text>\n",
                px(y),
                px(y + 4.0),
                escaped(&tick.label)
            );
        }
        svg + "</g>\n"
    }

    /// The end of the chart: the horizontal axis with its name.
    pub(super) fn end(&self, label: &str) -> String {
        let mut svg = String::from("<g class=\"axis-x\">\n");
        for (place, tick) in self.x.ticks.iter().enumerate() {
            let x = self.x_of(tick.value);
            let class = if place % 2 == 1 {
                r#" class="minor""#
            } else {
                ""
            };
            svg += &format!(
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"{HEIGHT}\" y2=\"{}\"/><text{class} x=\"{x}\" y=\"{}\">{}</text>\n",
                HEIGHT + 4.0,
                HEIGHT + 18.0,
                escaped(&tick.label)
            );
        }
        svg += &format!(
            "</g>\n<text class=\"axis-title\" x=\"50%\" y=\"{}\">{}</text>\n</svg>",
            HEIGHT + 38.0,
            escaped(label)
        );
        svg
    }

    /// The stretched part with these paths.
    pub(super) fn stretched(paths: &str) -> String {
        if paths.is_empty() {
            return String::new();
        }
        format!(
            "<svg class=\"stretch\" width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">{paths}</svg>\n"
        )
    }

    /// A marked value of the vertical axis.
    pub(super) fn threshold(&self, name: &str, value: f64, is_calm: bool) -> String {
        let y = px(self.y_of(value));
        let class = if is_calm { " is-calm" } else { "" };
        format!(
            "<g class=\"threshold{class}\"><title>{}</title><line x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/></g>\n",
            escaped(name)
        )
    }

    /// Position of a value, in percent of the width.
    pub(super) fn x_of(&self, value: f64) -> String {
        percent(self.x.place(value))
    }

    /// Position of a value, in the units of the stretched part.
    pub(super) fn stretched_x(&self, value: f64) -> f64 {
        WIDTH * self.x.place(value)
    }

    /// Height of a value, in px from the top.
    pub(super) fn y_of(&self, value: f64) -> f64 {
        HEIGHT * (1.0 - self.y.place(value))
    }
}
