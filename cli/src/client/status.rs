//! `skictl status`: alarms and key figures on one screen, and an exit code by severity for monitoring.

use std::cell::Cell;

use skilift_console::view::alarm::Severity;
use skilift_console::view::change::Change;
use skilift_console::view::queue::QueueView;

use super::Client;
use super::connection::{ApiRequest, parse};
use super::figures::span;
use super::page::{Page, Style};
use super::queue::render_alarms;
use crate::args::client::WatchArgs;
use crate::args::operator::{StatusArgs, StatusCommand};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    match &args.command {
        None => show(&client, args.watch).await,
        Some(StatusCommand::Show { watch }) => {
            show(&client, client.either(args.watch, *watch)).await
        }
        Some(StatusCommand::Acknowledge {
            alarm,
            reason,
            consent,
        }) => {
            let change = Change::Acknowledge {
                alarm: *alarm,
                reason: reason.clone(),
            };
            client.change(args.watch, consent)?.carry_out(change).await
        }
    }
}

async fn show(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    let exit = Cell::new(Exit::Done);
    let request = || ApiRequest::new(["queue"]);
    let set_exit = |json: String| {
        exit.set(exit_of(&parse(&json)?));
        Ok(json)
    };
    let show = client.show_command(watch);
    show.show_edited(request, set_exit, render, None).await?;
    Ok(exit.get())
}

/// The exit code of the most severe alarm that is not acknowledged.
fn exit_of(queue: &QueueView) -> Exit {
    let open = queue
        .alarms
        .iter()
        .filter(|alarm| alarm.acknowledged.is_none());
    let severities = open.map(|alarm| alarm.severity);
    match severities.max() {
        None | Some(Severity::Info) => Exit::Done,
        Some(Severity::Warning) => Exit::Threshold,
        Some(Severity::Critical) => Exit::Critical,
    }
}

fn render(queue: &QueueView, page: &mut Page) {
    let style = page.terminal_style;
    if queue.alarms.is_empty() {
        page.line("OK: no alarms", Style::Good);
    }
    render_alarms(&queue.alarms, page);
    page.pair("stack", format!("{}, on {}", queue.stack, queue.engine));
    let backlog = page.reading("backlog", &queue.backlog_rides, |n| {
        style.of(n, "ride", "rides")
    });
    page.pair("backlog", backlog);
    let oldest = page.reading("oldest ride", &queue.oldest_ride_age_ms, |ms| match ms {
        0 => "none waiting".to_owned(),
        ms => span(ms),
    });
    page.pair("oldest ride", oldest);
    let accepted = page.reading("accepted", &queue.rates.publish_per_s, |n| style.rate(n));
    let stored = page.reading("stored", &queue.rates.ack_per_s, |n| style.rate(n));
    page.pair("rides", format!("{accepted} accepted, {stored} stored"));
    let utilisation = &queue.utilisation;
    let (api, worker) = (&utilisation.api, &utilisation.worker);
    let nodes = [
        (api, "API node", "API nodes"),
        (worker, "worker", "workers"),
    ];
    let nodes = nodes.map(|(role, one, many)| {
        let faults = [(role.not_working, "not working"), (role.lost, "lost")];
        let faults = faults.iter().filter(|(count, _)| *count > 0);
        let faults: Vec<String> = faults
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let up = style.of(role.nodes, one, many);
        match faults.is_empty() {
            true => up,
            false => format!("{up} ({})", faults.join(", ")),
        }
    });
    page.pair("nodes up", nodes.join(", "));
}
