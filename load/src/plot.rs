//! Every picture of the product: charts as SVG, readable without scripts, in light and in dark.
//!
//! A chart describes what it shows; it is drawn in two forms by one writer. [`TimeChart::to_document`] is a file that stands alone and carries
//! [`STYLESHEET`]; [`TimeChart::to_fragment`] is for a page that serves that stylesheet itself, and holds classes and presentation attributes only,
//! so that it passes a content security policy without inline styles. [`TimeChart::to_table`] gives the same data as rows.
//!
//! The drawing is ours because no plotting crate met all of this. What their sources show: plotters (plotters-svg 0.3.7) writes a hex colour into
//! each element and no classes; charts-rs 2.3.0 and kuva 0.6.0 write colours likewise and keep classes for tooltips and highlights, so a page's theme
//! would have to fight each element; poloto 19.1.2 has a class for each series, but no logarithmic axes, and a legend instead of names at the lines' ends.
//! The elements and their escaping come from the `svg` crate.
//!
//! Bars, scatter plots and curves over other axes join as chart types beside [`TimeChart`], on the same parts: `document` (the frame of a picture),
//! `scale` and `quantity` (axes), `labels` (names at the line ends), `theme`, `table`.

mod document;
mod labels;
mod quantity;
mod reduce;
mod scale;
mod table;
mod theme;
mod time;

pub use quantity::Quantity;
pub use reduce::Middle;
pub use table::Table;
pub use theme::{STYLESHEET, Tone};
pub use time::{Panel, Series, Shade, Shape, Threshold, TimeChart, YScale};
