//! Charts as SVG, without scripts, for light and dark mode.
//!
//! A chart includes a description and has two forms. [`TimeChart::to_document`] is a standalone file with
//! [`STYLESHEET`]; [`TimeChart::to_fragment`] is for a page that serves that stylesheet itself, and has only classes and presentation attributes,
//! so that it complies with a content security policy without inline styles. [`TimeChart::to_table`] returns the same data as rows.
//!
//! The drawing code is our own because no plotting crate meets all of this. According to their sources, plotters (plotters-svg 0.3.7) writes a hex colour into
//! each element and no classes; charts-rs 2.3.0 and kuva 0.6.0 write colours likewise and keep classes for tooltips and highlights, so a page's theme
//! would have to fight each element; poloto 19.1.2 has a class for each series, but no logarithmic axes, and a legend instead of names at the lines' ends.
//! The elements and their escaping come from the `svg` crate.
//!
//! [`FluidChart`] is a chart over UTC time for a page: as wide as its place, without scaling its text, and styled by the page's own stylesheet.
//!
//! [`ScatterChart`] and [`CurveChart`] are charts over two axes of numbers, of the same kind.
//!
//! Bars and other charts can be added as chart types next to [`TimeChart`], with the same parts: `document` (the frame of a chart),
//! `scale` and `quantity` (axes), `labels` (names at the line ends), `theme`, `table`.

mod curve;
mod document;
mod fluid;
mod labels;
#[cfg(test)]
mod parsed;
mod plane;
mod quantity;
mod reduce;
mod scale;
mod scatter;
mod table;
mod theme;
mod time;

pub use curve::{CurveChart, CurveMark, CurvePosition, Observation};
pub use fluid::{
    FluidChart, FluidLine, FluidMarker, FluidScale, FluidThreshold, LineColour, MarkerKind,
};
pub use quantity::Quantity;
pub use reduce::Middle;
pub use scatter::{ScatterChart, ScatterMark, ScatterPoint};
pub use table::Table;
pub use theme::{STYLESHEET, Tone};
pub use time::{Panel, Series, Shade, Shape, Threshold, TimeChart, YScale};
