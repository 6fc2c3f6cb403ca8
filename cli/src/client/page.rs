//! A page of text: name-value pairs, tables, and notes on unknown figures.

use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, presets};
use skilift_console::view::Reading;
use skilift_console::view::figures::printable;
use skilift_console::view::queue::LatencyView;

use super::columns::{Columns, GAP, NARROW, width, without_prefix, wrap};
use super::figures::{self, TerminalStyle};
use super::notes::{Notes, Plural};

/// Severity of a text, which sets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Style {
    /// No severity.
    #[default]
    Plain,
    /// Good state.
    Good,
    /// Needs attention.
    Warning,
    /// Requires action.
    Alarm,
}

/// A page that is built from top to bottom.
#[derive(Debug)]
pub(crate) struct Page {
    /// Style of its output.
    pub(crate) terminal_style: TerminalStyle,
    blocks: Vec<String>,
    pairs: Vec<(String, String, Style)>,
    notes: Notes,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(terminal_style: TerminalStyle) -> Self {
        Self {
            terminal_style,
            blocks: Vec::new(),
            pairs: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// Adds a name with its value; consecutive pairs form one block.
    pub(crate) fn pair(&mut self, name: &str, value: impl Into<String>) {
        self.styled_pair(name, value, Style::Plain);
    }

    /// The same with a severity.
    pub(crate) fn styled_pair(&mut self, name: &str, value: impl Into<String>, style: Style) {
        self.pairs.push((name.to_owned(), value.into(), style));
    }

    /// Adds a separate line.
    pub(crate) fn line(&mut self, text: &str, style: Style) {
        self.end_pairs();
        let text = self.fold(&printable(text));
        let painted = match (style, self.terminal_style.colour) {
            (Style::Plain, _) | (_, false) => text,
            (Style::Good, _) => console::style(text).green().force_styling(true).to_string(),
            (Style::Warning, _) => console::style(text)
                .yellow()
                .force_styling(true)
                .to_string(),
            (Style::Alarm, _) => console::style(text)
                .red()
                .bold()
                .force_styling(true)
                .to_string(),
        };
        self.blocks.push(painted);
    }

    /// Adds a table, or the text `nothing` if it has no rows.
    pub(crate) fn table<const N: usize>(
        &mut self,
        columns: &Columns<N>,
        rows: impl IntoIterator<Item = [(String, Style); N]>,
        nothing: &str,
    ) {
        self.end_pairs();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| row.map(|(text, style)| (printable(&text), style)))
            .collect();
        if rows.is_empty() {
            self.blocks.push(nothing.to_owned());
            return;
        }
        let texts = rows
            .iter()
            .map(|row| row.each_ref().map(|(text, _)| text.as_str()));
        let layout = columns.fit(texts, self.terminal_style.width);
        let mut table = blank();
        table.set_header(layout.shown.iter().map(|(at, _)| {
            let cell = Cell::new(without_prefix(columns.names[*at]));
            if self.terminal_style.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for row in &rows {
            table.add_row(layout.shown.iter().map(|(at, width)| {
                let (text, style) = &row[*at];
                self.cell(&wrap(text, *width), *style)
            }));
        }
        for (column, (at, _)) in table.column_iter_mut().zip(&layout.shown) {
            if columns.names[*at].starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.blocks.push(text_of(table));
        if !layout.left_out.is_empty() {
            let names = layout.left_out.join(", ");
            self.note(format!("columns hidden (terminal too narrow): {names}"));
        }
    }

    /// The text of a reading; if it is unknown, the page ends with the reason.
    pub(crate) fn reading<T: Copy>(
        &mut self,
        name: &str,
        reading: &Reading<T>,
        show: impl Fn(T) -> String,
    ) -> String {
        self.reading_of(None, name, reading, show)
    }

    /// The same for a figure of one of several objects; the reason then names the object.
    pub(crate) fn reading_of<T: Copy>(
        &mut self,
        plural: Option<Plural>,
        name: &str,
        reading: &Reading<T>,
        show: impl Fn(T) -> String,
    ) -> String {
        if let Some(why) = &reading.error {
            let was_known = reading.value.is_some();
            self.notes.unknown(plural, name, was_known, why);
        }
        figures::reading(reading, show)
    }

    /// The text of an amount in US dollars; if only a part is known, it is a lower bound, and a note gives the reason.
    pub(crate) fn usd(&mut self, name: &str, reading: &Reading<f64>) -> String {
        match (&reading.error, reading.value) {
            (Some(why), Some(usd)) if reading.is_lower_bound() => {
                let why = why.strip_prefix("lower bound: ").unwrap_or(why);
                self.note_of(name, why);
                format!("at least {}", figures::usd(usd))
            }
            _ => self.reading(name, reading, figures::usd),
        }
    }

    /// Quantiles as one value; `nothing` means that there were no samples.
    pub(crate) fn pair_of_latencies(&mut self, name: &str, latency: &LatencyView, nothing: bool) {
        if nothing && latency.p99.value.is_none() {
            self.pair(name, "-");
            return;
        }
        let mut said = Vec::new();
        for (quantile, reading) in [
            ("p50", &latency.p50),
            ("p95", &latency.p95),
            ("p99", &latency.p99),
        ] {
            let value = self.reading(&format!("{name} {quantile}"), reading, figures::span);
            said.push(format!("{quantile} {value}"));
        }
        self.pair(name, said.join(", "));
    }

    /// Adds a note at the end of the page once.
    pub(crate) fn note(&mut self, note: impl AsRef<str>) {
        self.notes.remark(note.as_ref());
    }

    /// Adds a note on a name; names with the same note are grouped.
    pub(crate) fn note_of(&mut self, name: &str, note: &str) {
        self.notes.remark_on(name, note);
    }

    /// The text, with a final line break.
    pub(crate) fn finish(mut self) -> String {
        self.end_pairs();
        let notes: Vec<String> = self.notes.lines().map(|note| self.fold(&note)).collect();
        if !notes.is_empty() {
            self.blocks.push(notes.join("\n"));
        }
        let mut text = self.blocks.join("\n\n");
        text.push('\n');
        text
    }

    fn end_pairs(&mut self) {
        if self.pairs.is_empty() {
            return;
        }
        let pairs = std::mem::take(&mut self.pairs);
        let names = pairs.iter().map(|(name, ..)| width(name));
        let taken = names.max().unwrap_or_default() + GAP;
        let room = self.terminal_style.width.unwrap_or(usize::MAX);
        let room = room.saturating_sub(taken).max(NARROW);
        let mut table = blank();
        for (name, value, style) in pairs {
            let value = wrap(&printable(&value), room);
            table.add_row([Cell::new(name), self.cell(&value, style)]);
        }
        self.blocks.push(text_of(table));
    }

    /// A text, wrapped to the width of the terminal.
    fn fold(&self, text: &str) -> String {
        wrap(text, self.terminal_style.width.unwrap_or(usize::MAX))
    }

    /// A cell with printable text.
    fn cell(&self, text: &str, style: Style) -> Cell {
        let cell = Cell::new(text);
        match (style, self.terminal_style.colour) {
            (Style::Plain, _) | (_, false) => cell,
            (Style::Good, _) => cell.fg(Color::Green),
            (Style::Warning, _) => cell.fg(Color::Yellow),
            (Style::Alarm, _) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        }
    }
}

fn blank() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// Renders a table; columns start at the margin and are separated by two spaces.
fn text_of(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A cell of a table.
pub(crate) fn plain(text: impl Into<String>) -> (String, Style) {
    (text.into(), Style::Plain)
}

/// A cell with an optional text; a dash if there is none.
pub(crate) fn or_dash(text: Option<&str>) -> (String, Style) {
    plain(text.unwrap_or("-"))
}
