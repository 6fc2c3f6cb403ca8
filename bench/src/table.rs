//! Medians with their ranges, as a Markdown table.

/// Rows of figures in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 4]>);

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
        let row = [
            what.to_owned(),
            format!("{} {unit}", short(median)).trim().to_owned(),
            range,
            bar.to_owned(),
        ];
        eprintln!("  {}", row.join(" | "));
        self.0.push(row);
    }

    /// Adds what was measured once.
    pub(crate) fn once(&mut self, what: &str, unit: &str, value: f64, bar: &str) {
        self.rounds(what, unit, &[value], bar);
    }

    #[expect(
        clippy::print_stdout,
        reason = "the table is what this program is run for"
    )]
    pub(crate) fn print(&self) {
        println!("| figure | median | range | bar |\n|---|---|---|---|");
        for row in &self.0 {
            println!("| {} |", row.join(" | "));
        }
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
