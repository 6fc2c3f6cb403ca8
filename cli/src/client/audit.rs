//! `skictl audit` and `skictl repair`.

use skilift_console::view::audit::{AuditEntry, AuditOutcome, AuditView};
use skilift_console::view::change::Change;
use skilift_core::clock::epoch_ms;

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::moment;
use super::page::{Page, Style, or_dash, plain};
use super::show::csv_rows;
use crate::args::client::WatchArgs;
use crate::args::operator::{AuditArgs, RepairArgs};
use crate::exit::Exit;

/// Shows the audit log.
pub(crate) async fn run(args: &AuditArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let request = || {
        let since = args
            .since
            .map(|since| epoch_ms().saturating_sub(since.as_millis() as u64));
        ApiRequest::new(["audit"])
            .with("limit", args.limit)
            .with_some("before", args.before.as_ref())
            .with_some("who", args.who.as_ref())
            .with_some("action", args.action.as_ref())
            .with_some("outcome", args.outcome.as_ref())
            .with_some("since_ms", since.as_ref())
    };
    client
        .show_command(args.watch)
        .show(request, render, Some(to_csv))
        .await
}

/// Rebuilds the counters and indexes of a day.
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

fn outcome(entry: &AuditEntry) -> (String, Style) {
    let style = match entry.outcome {
        AuditOutcome::Planned | AuditOutcome::Started => Style::Plain,
        AuditOutcome::Succeeded => Style::Good,
        AuditOutcome::Partial
        | AuditOutcome::Cancelled
        | AuditOutcome::Denied
        | AuditOutcome::Refused => Style::Warning,
        AuditOutcome::Failed => Style::Alarm,
    };
    (entry.outcome.to_string(), style)
}

fn render(audit: &AuditView, page: &mut Page) {
    let rows = audit.entries.iter().map(|entry| {
        let change = entry.change("->").unwrap_or_default();
        [
            plain(entry.number.to_string()),
            plain(moment(entry.at_ms)),
            plain(&entry.actor),
            or_dash(entry.role.as_deref()),
            or_dash(entry.source_ip.as_deref()),
            plain(&entry.action),
            or_dash(entry.target.as_deref()),
            outcome(entry),
            plain(change),
            or_dash(entry.plan.as_deref()),
            plain(entry.reason.as_deref().unwrap_or_default()),
        ]
    });
    page.table(
        &Columns {
            names: [
                ">number",
                "at",
                "actor",
                "role",
                "source ip",
                "action",
                "~target",
                "outcome",
                "~change",
                "plan",
                "~reason",
            ],
            optional_columns: &["source ip", "role", "plan", "change", "reason"],
        },
        rows,
        "no entries",
    );
    if let Some(next) = audit.next {
        page.note(format!(
            "more entries available; use --before {next} for older ones"
        ));
    }
}

fn to_csv(audit: &AuditView) -> anyhow::Result<String> {
    csv_rows(&AuditEntry::COLUMNS, &audit.entries)
}
