//! Every picture of the product: charts as SVG, readable without scripts, in light and in dark.
//!
//! A chart describes what it shows; it is drawn in two forms by one writer. [`TimeChart::to_document`] is a file that stands alone and carries
//! [`STYLESHEET`]; [`TimeChart::to_fragment`] is for a page that serves that stylesheet itself, and holds classes and presentation attributes only,
//! so that it passes a content security policy without inline styles. [`TimeChart::to_table`] gives the same data as rows.
//!
//! The drawing is ours because no plotting crate met all of this (looked at in their sources: plotters 0.3, poloto 19.1, charts-rs 2.3, kuva 0.6):
//! plotters, charts-rs and kuva write colours into each element, so a page's theme cannot reach them, and poloto, which has classes,
//! has neither log axes nor bands nor labels that make way for each other. The elements and their escaping come from the `svg` crate.
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
