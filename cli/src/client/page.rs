//! A page of text: names with their values, tables, and notes on what is unknown.

use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, presets};
use skilift_console::view::Reading;
use skilift_console::view::queue::LatencyView;

use super::columns::{Columns, GAP, NARROW, bare, width, wrap};
use super::look::{self, Look, printable};
use super::notes::{Notes, Noun};

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
    notes: Notes,
}

impl Page {
    /// An empty one.
    pub(crate) fn new(look: Look) -> Self {
        Self {
            look,
            blocks: Vec::new(),
            pairs: Vec::new(),
            notes: Notes::default(),
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
        let text = self.fold(&printable(text));
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

    /// A table; without rows it says `nothing`.
    pub(crate) fn table<const N: usize>(
        &mut self,
        columns: &Columns<N>,
        rows: impl IntoIterator<Item = [(String, Tone); N]>,
        nothing: &str,
    ) {
        self.end_pairs();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| row.map(|(text, tone)| (printable(&text), tone)))
            .collect();
        if rows.is_empty() {
            self.blocks.push(nothing.to_owned());
            return;
        }
        let texts = rows
            .iter()
            .map(|row| row.each_ref().map(|(text, _)| text.as_str()));
        let layout = columns.fit(texts, self.look.width);
        let mut table = blank();
        table.set_header(layout.shown.iter().map(|(at, _)| {
            let cell = Cell::new(bare(columns.names[*at]));
            if self.look.colour {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for row in &rows {
            table.add_row(layout.shown.iter().map(|(at, width)| {
                let (text, tone) = &row[*at];
                self.cell(&wrap(text, *width), *tone)
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
            self.note(format!("left out for want of width: {names}"));
        }
    }

    /// The text of a reading; why it is unknown stands at the end of the page.
    pub(crate) fn reading<T: Copy>(
        &mut self,
        name: &str,
        reading: &Reading<T>,
        show: impl Fn(T) -> String,
    ) -> String {
        self.reading_of(None, name, reading, show)
    }

    /// The same for one of many things, which are named where it is unknown.
    pub(crate) fn reading_of<T: Copy>(
        &mut self,
        noun: Option<Noun>,
        name: &str,
        reading: &Reading<T>,
        show: impl Fn(T) -> String,
    ) -> String {
        if let Some(why) = &reading.unknown {
            let was_known = reading.value.is_some();
            self.notes.unknown(noun, name, was_known, why);
        }
        look::reading(reading, show)
    }

    /// The text of an amount in US dollars. Where only a part of it is known it is at least so much, and a note says why.
    pub(crate) fn usd(&mut self, name: &str, reading: &Reading<f64>) -> String {
        match (&reading.unknown, reading.value) {
            (Some(why), Some(_)) => {
                let why = why.strip_prefix("at least so many: ").unwrap_or(why);
                self.note_of(name, why);
                format!("at least {}", look::reading(reading, look::usd))
            }
            _ => self.reading(name, reading, look::usd),
        }
    }

    /// Quantiles as one value; where `nothing` happened there are none, and nothing is wrong with that.
    pub(crate) fn pair_of_latencies(&mut self, name: &str, latency: &LatencyView, nothing: bool) {
        if nothing && latency.p99_ms.value.is_none() {
            self.pair(name, "-");
            return;
        }
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
    pub(crate) fn note(&mut self, note: impl AsRef<str>) {
        self.notes.remark(note.as_ref());
    }

    /// What stands there of something, once for all of which the same is to be said.
    pub(crate) fn note_of(&mut self, name: &str, note: &str) {
        self.notes.said_of(name, note);
    }

    /// The text, with a line end.
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
        let room = self.look.width.unwrap_or(usize::MAX);
        let room = room.saturating_sub(taken).max(NARROW);
        let mut table = blank();
        for (name, value, tone) in pairs {
            let value = wrap(&printable(&value), room);
            table.add_row([Cell::new(name), self.cell(&value, tone)]);
        }
        self.blocks.push(text_of(table));
    }

    /// A text of its own, in lines that the terminal need not break.
    fn fold(&self, text: &str) -> String {
        wrap(text, self.look.width.unwrap_or(usize::MAX))
    }

    /// A cell of a text that is printable.
    fn cell(&self, text: &str, tone: Tone) -> Cell {
        let cell = Cell::new(text);
        match (tone, self.look.colour) {
            (Tone::Plain, _) | (_, false) => cell,
            (Tone::Good, _) => cell.fg(Color::Green),
            (Tone::Warning, _) => cell.fg(Color::Yellow),
            (Tone::Alarm, _) => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        }
    }
}

fn blank() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
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
