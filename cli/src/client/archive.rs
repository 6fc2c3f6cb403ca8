//! `skictl archive`: moves days from Redis to files and back, and lists them.

use skilift_console::view::archive::{ArchiveView, ArchivedDayView};
use skilift_console::view::change::Change;
use skilift_console::view::figures::{bytes, counted};

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::moment;
use super::page::{Page, Style, plain};
use super::show::csv_rows;
use crate::args::archive::{ArchiveArgs, ArchiveCommand};
use crate::args::client::WatchArgs;
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &ArchiveArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let (change, consent) = match &args.command {
        ArchiveCommand::List(watch) => {
            let request = || ApiRequest::new(["archive"]);
            let show = client.show_command(*watch);
            return show.show(request, render, Some(to_csv)).await;
        }
        ArchiveCommand::Run { days, consent } => (Change::Archive(days.read()), consent),
        ArchiveCommand::Restore { days, consent } => (Change::Restore(days.read()), consent),
    };
    client
        .change(WatchArgs::default(), consent)?
        .carry_out(change)
        .await
}

fn to_csv(archive: &ArchiveView) -> anyhow::Result<String> {
    let header = [
        "resort",
        "season",
        "day",
        "rides",
        "skiers",
        "bytes",
        "sha256",
        "archived_at_ms",
        "fault",
    ];
    csv_rows(&header, &archive.days)
}

fn render(archive: &ArchiveView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let row = |day: &ArchivedDayView| {
        let state = match &day.fault {
            None => ("archived".to_owned(), Style::Good),
            Some(fault) => (fault.clone(), Style::Alarm),
        };
        [
            plain(day.resort.to_string()),
            plain(&day.season),
            plain(day.day.to_string()),
            plain(terminal_style.count(day.rides)),
            plain(terminal_style.count(day.skiers)),
            plain(bytes(day.bytes)),
            plain(moment(day.archived_at_ms)),
            state,
        ]
    };
    page.table(
        &Columns {
            names: [
                ">resort", ">season", ">day", ">rides", ">skiers", ">size", "archived", "~state",
            ],
            optional_columns: &["archived", "skiers", "size"],
        },
        archive.days.iter().map(row),
        "no archived days",
    );
    if archive.days.is_empty() {
        return;
    }
    let total = |of: fn(&ArchivedDayView) -> u64| archive.days.iter().map(of).sum::<u64>();
    page.note(format!(
        "{} with {} in {} of files{}",
        counted(archive.days.len() as u64, "day", "days"),
        counted(total(|day| day.rides), "ride", "rides"),
        bytes(total(|day| day.bytes)),
        archive
            .directory
            .as_ref()
            .map_or_else(String::new, |path| format!(
                ", in {path} on the console's host"
            ))
    ));
}
