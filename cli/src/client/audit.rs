//! `skictl audit` and `skictl repair`.

use skilift_console::view::audit::{AuditEntry, AuditOutcome, AuditView};
use skilift_console::view::change::Change;

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::look::moment;
use super::page::{Page, Tone, or_dash, plain};
use super::show::csv_rows;
use crate::args::client::WatchArgs;
use crate::args::operate::{AuditArgs, RepairArgs};
use crate::exit::Exit;

/// Shows who did what, and what came of it.
pub(crate) async fn run(args: &AuditArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let ask = || {
        Question::new(["audit"])
            .with("limit", args.limit)
            .with_some("before", args.before.as_ref())
            .with_some("who", args.who.as_ref())
            .with_some("action", args.action.as_ref())
    };
    client
        .showing(args.watch)
        .show(ask, draw, Some(to_csv))
        .await
}

/// Has the counters and indexes of a day written anew.
pub(crate) async fn repair(args: &RepairArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let change = Change::Repair {
        resort: args.resort.get().into(),
        season: args.day.season.to_string(),
        day: args.day.day.get().into(),
    };
    client
        .change(WatchArgs::default(), &args.consent)?
        .carry_out(change)
        .await
}

fn outcome(entry: &AuditEntry) -> (String, Tone) {
    let (word, tone) = match entry.outcome {
        AuditOutcome::Begun => ("begun", Tone::Plain),
        AuditOutcome::Done => ("done", Tone::Good),
        AuditOutcome::Refused => ("refused", Tone::Warning),
        AuditOutcome::Failed => ("failed", Tone::Alarm),
    };
    (word.to_owned(), tone)
}

fn draw(audit: &AuditView, page: &mut Page) {
    let rows = audit.entries.iter().map(|entry| {
        let change = match (&entry.before, &entry.after) {
            (None, None) => String::new(),
            (before, after) => format!(
                "{} -> {}",
                before.as_deref().unwrap_or("-"),
                after.as_deref().unwrap_or("-")
            ),
        };
        [
            plain(entry.number.to_string()),
            plain(moment(entry.at_ms)),
            plain(&entry.who),
            or_dash(entry.role.as_deref()),
            or_dash(entry.from.as_deref()),
            plain(&entry.action),
            or_dash(entry.target.as_deref()),
            outcome(entry),
            plain(change),
            or_dash(entry.plan.as_deref()),
            plain(entry.message.as_deref().unwrap_or_default()),
        ]
    });
    page.table(
        &Columns {
            names: [
                ">number", "at", "who", "role", "from", "action", "~on", "outcome", "~change",
                "plan", "~message",
            ],
            spare: &["from", "role", "plan", "change", "message"],
        },
        rows,
        "no entries",
    );
    if let Some(next) = audit.next {
        page.note(format!("there are more: --before {next} shows older ones"));
    }
}

fn to_csv(audit: &AuditView) -> anyhow::Result<String> {
    let header = [
        "number", "at_ms", "who", "role", "from", "agent", "action", "target", "plan", "before",
        "after", "outcome", "message",
    ];
    csv_rows(header, &audit.entries)
}
