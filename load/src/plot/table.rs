//! A chart's data as rows, for those who read rather than look.

/// What a chart draws, as text with units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The name of each column, the first of which is the time.
    pub head: Vec<String>,
    /// One row for each point that is drawn, as long as the head; `None` where a value is unknown.
    pub rows: Vec<Vec<Option<String>>>,
}
