//! A page of text: names with their values, tables, and notes on what is unknown.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use skilift_console::view::Reading;
use skilift_console::view::queue::LatencyView;

use super::look::{self, Look, printable};

/// How a text strikes the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// As any other.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Somebody must do something.
    Alarm,
}

/// A page that grows downwards.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it goes.
    pub(crate) look: Look,
    blocks: Vec<String>,
    pairs: Vec<(String, String, Tone)>,
    notes: Vec<String>,
}

impl Page {
    /// An empty one.
    pub(crate) fn new(look: Look) -> Self {
        Self {
            look,
            blocks: Vec::new(),
            pairs: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A name with its value; those that follow each other make one block.
    pub(crate) fn pair(&mut self, name: &str, value: impl Into<String>) {
        self.toned_pair(name, value, Tone::Plain);
    }

    /// The same in a tone.
    pub(crate) fn toned_pair(&mut self, name: &str, value: impl Into<String>, tone: Tone) {
        self.pairs.push((name.to_owned(), value.into(), tone));
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str, tone: Tone) {
        self.end_pairs();
        let text = printable(text);
        let painted = match (tone, self.look.colour) {
            (Tone::Plain, _) | (_, false) => text,
            (Tone::Good, _) => console::style(text).green().force_styling(true).to_string(),
            (Tone::Warning, _) => console::style(text)
                .yellow()
                .force_styling(true)
                .to_string(),
            (Tone::Alarm, _) => console::style(text)
                .red()
                .bold()
                .force_styling(true)
                .to_string(),
        };
        self.blocks.push(painted);
    }

    /// A table. A header that begins with `>` has its column aligned to the right. An empty one says `nothing`.
    pub(crate) fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [(String, Tone); N]>,
        nothing: &str,
    ) {
        self.end_pairs();
        let mut table = self.blank();
        table.set_header(header.map(|name| {
            let cell = Cell::new(name.trim_start_matches('>'));
            if self.look.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for row in rows {
            table.add_row(row.map(|(text, tone)| self.cell(&text, tone)));
        }
        if table.row_count() == 0 {
            self.blocks.push(nothing.to_owned());
            return;
        }
        for (column, name) in table.column_iter_mut().zip(header) {
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.blocks.push(text_of(table));
    }

    /// The text of a reading; why it is unknown stands at the end of the page.
    pub(crate) fn reading<T: Copy>(
        &mut self,
        name: &str,
        reading: &Reading<T>,
        show: impl Fn(T) -> String,
    ) -> String {
        if let Some(why) = &reading.unknown {
            let note = match reading.value {
                None => format!("unknown: {name}: {why}"),
                Some(_) => format!("not certain: {name}: {why}"),
            };
            self.note(note);
        }
        look::reading(reading, show)
    }

    /// Quantiles as one value.
    pub(crate) fn pair_of_latencies(&mut self, name: &str, latency: &LatencyView) {
        let mut said = Vec::new();
        for (quantile, reading) in [
            ("p50", &latency.p50_ms),
            ("p95", &latency.p95_ms),
            ("p99", &latency.p99_ms),
        ] {
            let value = self.reading(&format!("{name} {quantile}"), reading, look::span);
            said.push(format!("{quantile} {value}"));
        }
        self.pair(name, said.join(", "));
    }

    /// What stands at the end of the page, once.
    pub(crate) fn note(&mut self, note: String) {
        let note = printable(&note);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The text, with a line end.
    pub(crate) fn finish(mut self) -> String {
        self.end_pairs();
        if !self.notes.is_empty() {
            self.blocks.push(self.notes.join("\n"));
        }
        let mut text = self.blocks.join("\n\n");
        text.push('\n');
        text
    }

    fn end_pairs(&mut self) {
        if self.pairs.is_empty() {
            return;
        }
        let mut table = self.blank();
        for (name, value, tone) in std::mem::take(&mut self.pairs) {
            table.add_row([Cell::new(name), self.cell(&value, tone)]);
        }
        self.blocks.push(text_of(table));
    }

    fn blank(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if self.look.terminal {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table
    }

    fn cell(&self, text: &str, tone: Tone) -> Cell {
        let cell = Cell::new(printable(text));
        match (tone, self.look.colour) {
            (Tone::Plain, _) | (_, false) => cell,
            (Tone::Good, _) => cell.fg(Color::Green),
            (Tone::Warning, _) => cell.fg(Color::Yellow),
            (Tone::Alarm, _) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        }
    }
}

/// The table's text: columns begin at the margin and are two spaces apart.
fn text_of(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A cell of a table.
pub(crate) fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

/// A cell that may have nothing in it.
pub(crate) fn or_dash(text: Option<&str>) -> (String, Tone) {
    plain(text.unwrap_or("-"))
}
