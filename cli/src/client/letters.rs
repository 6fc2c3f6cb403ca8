//! `skictl queue dead`: dead letters are looked at, sent again, or thrown away.

use skilift_console::view::change::{Change, LetterChoice};
use skilift_console::view::letters::{LetterState, LetterView, LettersView};

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::look::{moment, moment_or_dash};
use super::page::{Page, Tone, plain};
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
            let ask = || {
                Question::new(["letters"])
                    .with("limit", limit)
                    .with_some("before", before.as_ref())
                    .with_some("reason", reason.as_ref())
            };
            let watch = client.either(outer, *watch);
            client.showing(watch).show(ask, draw_list, None).await
        }
        DeadCommand::Show { id, watch } => {
            let ask = || Question::new(["letters", id]);
            let watch = client.either(outer, *watch);
            client.showing(watch).show(ask, draw, None).await
        }
        DeadCommand::Replay {
            choice,
            rate,
            consent,
        } => {
            let change = Change::Replay {
                letters: chosen(choice),
                per_s: *rate,
            };
            client.change(outer, consent)?.carry_out(change).await
        }
        DeadCommand::Discard { choice, consent } => {
            let change = Change::Discard {
                letters: chosen(choice),
            };
            client.change(outer, consent)?.carry_out(change).await
        }
    }
}

fn chosen(choice: &ChoiceArgs) -> LetterChoice {
    if choice.all {
        LetterChoice::All
    } else {
        LetterChoice::Ids(choice.ids.clone())
    }
}

fn state(letter: &LetterView) -> (String, Tone) {
    match letter.state {
        LetterState::Dead => ("dead".to_owned(), Tone::Warning),
        LetterState::Replayed => ("replayed".to_owned(), Tone::Good),
    }
}

/// Most characters of a line in the list.
const LINE: usize = 60;

fn draw_list(letters: &LettersView, page: &mut Page) {
    let look = page.look;
    let rows = letters.letters.iter().map(|letter| {
        let mut line: String = letter.line.chars().take(LINE).collect();
        if line.len() < letter.line.len() {
            line.push_str("..");
        }
        [
            plain(&letter.id),
            plain(moment(letter.at_ms)),
            state(letter),
            plain(look.count(letter.replays)),
            plain(&letter.reason),
            plain(line),
        ]
    });
    page.table(
        &Columns {
            names: ["id", "since", "state", ">replays", "~reason", "line"],
            spare: &["line", "replays", "since"],
        },
        rows,
        "no dead letters",
    );
    if let Some(next) = &letters.next {
        let total = look.count(letters.total);
        page.note(format!(
            "there are more, {total} in all: --before {next} shows older ones"
        ));
    }
}

fn draw(letter: &LetterView, page: &mut Page) {
    let look = page.look;
    page.pair("id", &letter.id);
    let (word, tone) = state(letter);
    page.toned_pair("state", word, tone);
    page.pair("since", moment(letter.at_ms));
    page.pair("reason", &letter.reason);
    page.pair("replays", look.count(letter.replays));
    page.pair("last replay", moment_or_dash(letter.replayed_at_ms));
    page.pair("line", &letter.line);
}
