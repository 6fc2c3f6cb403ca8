//! A chart's data as rows.

/// The data of a chart as text with units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The name of each column, the first of which is the time.
    pub head: Vec<String>,
    /// One row per drawn point, with one value per column; `None` for an unknown value.
    pub rows: Vec<Vec<Option<String>>>,
}
