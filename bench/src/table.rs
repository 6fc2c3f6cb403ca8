//! Medians with their ranges, as a Markdown table that is printed row by row.

use crate::part::Part;

/// Rows of figures, each printed as soon as it is there.
#[derive(Default)]
pub(crate) struct Table {
    has_head: bool,
}

impl Table {
    /// Adds what several rounds measured.
    pub(crate) fn rounds(&mut self, what: &str, unit: &str, values: &[f64], bar: &str) {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
            return;
        };
        let median = sorted[sorted.len() / 2];
        let range = if values.len() > 1 {
            format!("{} to {}", short(*least), short(*most))
        } else {
            String::new()
        };
        let median = format!("{} {unit}", short(median));
        self.row([what, median.trim(), &range, bar]);
    }

    /// Adds what was measured once.
    pub(crate) fn once(&mut self, what: &str, unit: &str, value: f64, bar: &str) {
        self.rounds(what, unit, &[value], bar);
    }

    /// Adds a part that could not be measured.
    pub(crate) fn failed(&mut self, part: Part, error: &anyhow::Error) {
        let error = format!("{error:#}").replace('\n', " ");
        self.row([&format!("**{part:?} failed**"), &error, "", ""]);
    }

    /// Prints a line beside the table.
    #[expect(
        clippy::print_stdout,
        reason = "the table is what this program is run for"
    )]
    pub(crate) fn note(&mut self, text: &str) {
        println!("{text}\n");
        self.has_head = false;
    }

    #[expect(
        clippy::print_stdout,
        reason = "the table is what this program is run for"
    )]
    fn row(&mut self, cells: [&str; 4]) {
        if !self.has_head {
            println!("| figure | median | range | bar |\n|---|---|---|---|");
            self.has_head = true;
        }
        println!("| {} |", cells.join(" | "));
    }
}

/// Three significant digits, whole from a hundred on, in groups of thousands.
fn short(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
