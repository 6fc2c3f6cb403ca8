//! Shows a view: once, or again and again; as a page, JSON or CSV.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::MissedTickBehavior;

use super::connection::{Console, Question, parse};
use super::error::ClientError;
use super::look::{Look, printable};
use super::page::{Page, Tone};
use crate::args::client::Form;
use crate::exit::Exit;

/// How a view is shown.
#[derive(Debug)]
pub(crate) struct Showing<'a> {
    /// Whom to ask.
    pub(crate) console: &'a Console,
    /// The form.
    pub(crate) form: Form,
    /// How often; once where there is none.
    pub(crate) watch: Option<Duration>,
}

/// Writes a view's rows as CSV.
pub(crate) type ToCsv<T> = fn(&T) -> anyhow::Result<String>;

impl Showing<'_> {
    /// Asks, and shows what is answered.
    pub(crate) async fn show<T: DeserializeOwned>(
        &self,
        ask: impl Fn() -> Question,
        draw: impl Fn(&T, &mut Page),
        csv: Option<ToCsv<T>>,
    ) -> anyhow::Result<Exit> {
        self.show_edited(ask, Ok, draw, csv).await
    }

    /// The same of an answer of which only a part is wanted, in whatever form.
    pub(crate) async fn show_edited<T: DeserializeOwned>(
        &self,
        ask: impl Fn() -> Question,
        edit: impl Fn(String) -> Result<String, ClientError>,
        draw: impl Fn(&T, &mut Page),
        csv: Option<ToCsv<T>>,
    ) -> anyhow::Result<Exit> {
        if self.form == Form::Csv && csv.is_none() {
            return Err(no_csv().into());
        }
        let look = Look::stdout();
        let render = async || {
            let json = edit(self.console.get(&ask()).await?)?;
            anyhow::Ok(match (self.form, csv) {
                (Form::Json, _) => json.trim_end().to_owned() + "\n",
                (Form::Csv, Some(csv)) => csv(&parse(&json)?)?,
                (Form::Table | Form::Csv, _) => {
                    // Somebody may have drawn the window wider meanwhile.
                    let mut page = Page::new(Look::stdout());
                    draw(&parse(&json)?, &mut page);
                    page.finish()
                }
            })
        };
        let Some(every) = self.watch else {
            print(&render().await?)?;
            return Ok(Exit::Done);
        };
        if self.form == Form::Csv {
            return Err(ClientError::Usage(
                "--watch shows table or json; csv is written once".to_owned(),
            )
            .into());
        }
        let mut frames = Frames::new(look, self.form);
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            ticks.tick().await;
            let goes_on = match render().await {
                Ok(text) => frames.next(text)?,
                Err(error) => {
                    let passing = error
                        .downcast_ref::<ClientError>()
                        .is_some_and(ClientError::may_pass);
                    if first || !passing {
                        return Err(error);
                    }
                    frames.trouble(&format!("{error:#}"))?
                }
            };
            first = false;
            if !goes_on {
                return Ok(Exit::Done);
            }
        }
    }
}

fn no_csv() -> ClientError {
    ClientError::Usage(
        "csv is for stats, audit and history; this command knows table and json".to_owned(),
    )
}

/// Refuses CSV where there is none, before anything is asked.
pub(crate) fn refuse_csv(form: Form) -> Result<(), ClientError> {
    match form {
        Form::Csv => Err(no_csv()),
        Form::Table | Form::Json => Ok(()),
    }
}

/// Rows as CSV, with the names of the fields above them, also where there are no rows.
pub(crate) fn csv_rows<const N: usize>(
    header: [&str; N],
    rows: &[impl Serialize],
) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.serialize(row)?;
    }
    plain_csv(&writer.into_inner()?)
}

/// CSV whose cells command neither the terminal nor the spreadsheet that opens it, whoever wrote them:
/// <https://owasp.org/www-community/attacks/CSV_Injection>.
pub(crate) fn plain_csv(raw: &[u8]) -> anyhow::Result<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(raw);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in reader.records() {
        writer.write_record(row?.iter().map(plain_cell))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Text that begins as a formula does has a `'` before it. Numbers stay as they are.
fn plain_cell(text: &str) -> String {
    let text = printable(text);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if text.starts_with(['=', '+', '-', '@']) && !is_number {
        return format!("'{text}");
    }
    text
}

/// Writes to stdout; false when nobody reads any more, which is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

/// What is shown again and again: painted over on a terminal, appended elsewhere.
struct Frames {
    look: Look,
    form: Form,
    /// The page that is shown.
    page: String,
    /// Its lines on the screen.
    lines: usize,
    any: bool,
}

impl Frames {
    fn new(look: Look, form: Form) -> Self {
        Self {
            look,
            form,
            page: String::new(),
            lines: 0,
            any: false,
        }
    }

    fn paints(&self) -> bool {
        self.look.terminal && self.form == Form::Table
    }

    fn next(&mut self, page: String) -> anyhow::Result<bool> {
        if self.paints() {
            self.page = page;
            return self.paint("");
        }
        let gap = if self.any && self.form == Form::Table {
            "\n"
        } else {
            ""
        };
        self.any = true;
        print(&format!("{gap}{page}"))
    }

    /// Says what keeps the page from being new.
    fn trouble(&mut self, what: &str) -> anyhow::Result<bool> {
        if !self.paints() {
            eprintln!("skictl: {what}");
            return Ok(true);
        }
        let mut page = Page::new(Look::stdout());
        page.line(&format!("not up to date: {what}"), Tone::Alarm);
        self.paint(&page.finish())
    }

    /// Paints the page and what stands below it over what was painted last, in one write, so that nothing flickers.
    fn paint(&mut self, below: &str) -> anyhow::Result<bool> {
        let (height, _) = console::Term::stdout().size();
        let width = Look::stdout().width.unwrap_or(usize::MAX);
        let room = usize::from(height).saturating_sub(1).max(1);
        let below: Vec<&str> = below.lines().collect();
        let kept = room.saturating_sub(below.len());
        let mut text = String::new();
        if self.lines > 0 {
            text.push_str(&format!("\x1b[{}A\r", self.lines));
        }
        self.lines = 0;
        for line in self.page.lines().take(kept).chain(below) {
            text.push_str(&console::truncate_str(line, width, ""));
            // What stood behind it is taken away.
            text.push_str("\x1b[0m\x1b[K\n");
            self.lines += 1;
        }
        text.push_str("\x1b[J");
        print(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        who: &'static str,
        change: f64,
        message: Option<&'static str>,
    }

    #[test]
    fn no_cell_commands_a_spreadsheet_or_a_terminal() {
        let row = |who, change, message| Row {
            who,
            change,
            message,
        };
        let rows = [
            row("=HYPERLINK(\"http://x\")", -1.5, Some("+cmd|' /C calc'!A0")),
            row("@SUM(1)", 2.0, Some("-2+3")),
            row("\u{1b}[2Janna\r\n", -0.25, None),
            row("a=b, \"c\"", 0.0, Some("-7")),
        ];
        assert_eq!(
            csv_rows(["who", "change", "message"], &rows).unwrap(),
            "who,change,message\n\
             \"'=HYPERLINK(\"\"http://x\"\")\",-1.5,'+cmd|' /C calc'!A0\n\
             '@SUM(1),2.0,'-2+3\n\
             \u{fffd}[2Janna\u{fffd}\u{fffd},-0.25,\n\
             \"a=b, \"\"c\"\"\",0.0,-7\n"
        );
        let none: [Row; 0] = [];
        assert_eq!(csv_rows(["who"], &none).unwrap(), "who\n");
    }
}
