//! `skictl queue dead`: shows, replays and discards dead letters.

use skilift_console::view::change::{Change, DeadLetterSelection};
use skilift_console::view::dead_letters::{DeadLetterState, DeadLetterView, DeadLettersView};

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::{moment, moment_or_dash};
use super::page::{Page, Style, plain};
use crate::args::client::WatchArgs;
use crate::args::queue::{ChoiceArgs, DeadCommand};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(
    client: &Client,
    outer: WatchArgs,
    command: &DeadCommand,
) -> anyhow::Result<Exit> {
    match command {
        DeadCommand::List {
            limit,
            before,
            reason,
            watch,
        } => {
            let request = || {
                ApiRequest::new(["dead-letters"])
                    .with("limit", limit)
                    .with_some("before", before.as_ref())
                    .with_some("reason", reason.as_ref())
            };
            let watch = client.either(outer, *watch);
            client
                .show_command(watch)
                .show(request, render_list, None)
                .await
        }
        DeadCommand::Show { id, watch } => {
            let request = || ApiRequest::new(["dead-letters", id]);
            let watch = client.either(outer, *watch);
            client.show_command(watch).show(request, render, None).await
        }
        DeadCommand::Replay {
            choice,
            rate,
            consent,
        } => {
            let change = Change::Replay {
                dead_letters: chosen(choice),
                per_s: *rate,
            };
            client.change(outer, consent)?.carry_out(change).await
        }
        DeadCommand::Discard { choice, consent } => {
            let change = Change::Discard {
                dead_letters: chosen(choice),
            };
            client.change(outer, consent)?.carry_out(change).await
        }
    }
}

fn chosen(choice: &ChoiceArgs) -> DeadLetterSelection {
    match &choice.reason {
        Some(text) => DeadLetterSelection::Reason {
            text: text.clone(),
            up_to: None,
        },
        None if choice.all => DeadLetterSelection::All,
        None => DeadLetterSelection::Ids(choice.ids.clone()),
    }
}

fn state(letter: &DeadLetterView) -> (String, Style) {
    match letter.state {
        DeadLetterState::Dead => ("dead".to_owned(), Style::Warning),
        DeadLetterState::Replayed => ("replayed".to_owned(), Style::Good),
    }
}

/// Maximum characters of a line in the list.
const LINE: usize = 60;

fn render_list(letters: &DeadLettersView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = letters.dead_letters.iter().map(|letter| {
        let mut line: String = letter.line.chars().take(LINE).collect();
        if line.len() < letter.line.len() {
            line.push_str("..");
        }
        [
            plain(&letter.id),
            plain(moment(letter.received_at_ms)),
            state(letter),
            plain(terminal_style.count(letter.replays)),
            plain(&letter.reason),
            plain(line),
        ]
    });
    page.table(
        &Columns {
            names: ["id", "since", "state", ">replays", "~reason", "line"],
            optional_columns: &["line", "replays", "since"],
        },
        rows,
        "no dead letters",
    );
    if let Some(next) = &letters.next {
        let total = terminal_style.count(letters.total);
        page.note(format!(
            "more dead letters available, {total} in total; use --before {next} for older ones"
        ));
    }
}

fn render(letter: &DeadLetterView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    page.pair("id", &letter.id);
    let (word, style) = state(letter);
    page.styled_pair("state", word, style);
    page.pair("since", moment(letter.received_at_ms));
    page.pair("reason", &letter.reason);
    page.pair("replays", terminal_style.count(letter.replays));
    page.pair("last replay", moment_or_dash(letter.replayed_at_ms));
    page.pair("line", &letter.line);
}
