//! Shows a view once or repeatedly, as a page, JSON or CSV.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::MissedTickBehavior;

use super::connection::{ApiRequest, Console, parse};
use super::error::ClientError;
use super::figures::TerminalStyle;
use super::page::{Page, Style};
use crate::args::client::Form;
use crate::exit::Exit;

/// Options of a view.
#[derive(Debug)]
pub(crate) struct ShowCommand<'a> {
    /// The console.
    pub(crate) console: &'a Console,
    /// Output format.
    pub(crate) form: Form,
    /// Refresh interval; `None` to show the view once.
    pub(crate) watch: Option<Duration>,
}

/// Writes a view's rows as CSV.
pub(crate) type ToCsv<T> = fn(&T) -> anyhow::Result<String>;

impl ShowCommand<'_> {
    /// Gets a view and shows it.
    pub(crate) async fn show<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> ApiRequest,
        render_page: impl Fn(&T, &mut Page),
        csv: Option<ToCsv<T>>,
    ) -> anyhow::Result<Exit> {
        self.show_edited(request, Ok, render_page, csv).await
    }

    /// The same with a filter that is applied to the JSON before it is shown.
    pub(crate) async fn show_edited<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> ApiRequest,
        edit: impl Fn(String) -> Result<String, ClientError>,
        render_page: impl Fn(&T, &mut Page),
        csv: Option<ToCsv<T>>,
    ) -> anyhow::Result<Exit> {
        if self.form == Form::Csv && csv.is_none() {
            return Err(no_csv().into());
        }
        let terminal_style = TerminalStyle::stdout();
        let render = async || {
            let json = edit(self.console.get(&request()).await?)?;
            anyhow::Ok(match (self.form, csv) {
                (Form::Json, _) => json.trim_end().to_owned() + "\n",
                (Form::Csv, Some(csv)) => csv(&parse(&json)?)?,
                (Form::Table | Form::Csv, _) => {
                    // The window may have been resized.
                    let mut page = Page::new(TerminalStyle::stdout());
                    render_page(&parse(&json)?, &mut page);
                    page.finish()
                }
            })
        };
        let Some(every) = self.watch else {
            print(&render().await?)?;
            return Ok(Exit::Done);
        };
        if self.form == Form::Csv {
            return Err(
                ClientError::Usage("--watch supports table and json, not csv".to_owned()).into(),
            );
        }
        let mut frames = Frames::new(terminal_style, self.form);
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
                    frames.show_error(&format!("{error:#}"))?
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
        "csv is not supported by this command (stats, audit, history and sweeps only); use table or json"
            .to_owned(),
    )
}

/// Rejects CSV if the view does not support it, before any request is sent.
pub(crate) fn refuse_csv(form: Form) -> Result<(), ClientError> {
    match form {
        Form::Csv => Err(no_csv()),
        Form::Table | Form::Json => Ok(()),
    }
}

/// Rows as CSV with a header, even if there are no rows.
pub(crate) fn csv_rows(header: &[&str], rows: &[impl Serialize]) -> anyhow::Result<String> {
    Ok(skilift_console::view::csv::rows(header, rows)?)
}

/// Writes to stdout; false if the reader closed the pipe, which is not an error.
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

/// A refreshed view: redrawn on a terminal, appended otherwise.
struct Frames {
    terminal_style: TerminalStyle,
    form: Form,
    /// The current page.
    page: String,
    /// Number of its lines on the screen.
    lines: usize,
    any: bool,
}

impl Frames {
    fn new(terminal_style: TerminalStyle, form: Form) -> Self {
        Self {
            terminal_style,
            form,
            page: String::new(),
            lines: 0,
            any: false,
        }
    }

    fn paints(&self) -> bool {
        self.terminal_style.terminal && self.form == Form::Table
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

    /// Shows why the page could not be refreshed.
    fn show_error(&mut self, what: &str) -> anyhow::Result<bool> {
        if !self.paints() {
            say!("skictl: {what}");
            return Ok(true);
        }
        let mut page = Page::new(TerminalStyle::stdout());
        page.line(&format!("stale: {what}"), Style::Alarm);
        self.paint(&page.finish())
    }

    /// Redraws the page in one write, to avoid flicker.
    fn paint(&mut self, below: &str) -> anyhow::Result<bool> {
        let (height, _) = console::Term::stdout().size();
        let width = TerminalStyle::stdout().width.unwrap_or(usize::MAX);
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
            // Clears the rest of the old line.
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
            csv_rows(&["who", "change", "message"], &rows).unwrap(),
            "who,change,message\n\
             \"'=HYPERLINK(\"\"http://x\"\")\",-1.5,'+cmd|' /C calc'!A0\n\
             '@SUM(1),2.0,'-2+3\n\
             \u{fffd}[2Janna\u{fffd}\u{fffd},-0.25,\n\
             \"a=b, \"\"c\"\"\",0.0,-7\n"
        );
        let none: [Row; 0] = [];
        assert_eq!(csv_rows(&["who"], &none).unwrap(), "who\n");
    }
}
