//! `skictl queue`: backlog, rates, storage latency and reconciliation; pause and resume.

use skilift_console::view::alarm::{AlarmView, Severity};
use skilift_console::view::change::Change;
use skilift_console::view::queue::{
    ConsumerView, DrainTime, HistoryPoint, HistoryView, ManagementView, QueueView,
    RoleUtilisationView, Trend,
};
use skilift_console::view::reconciliation::{ReconciliationView, Verdict};
use skilift_core::clock::epoch_ms;

use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::{bytes, cores, moment, percent, span, span_s};
use super::notes::CONSUMERS;
use super::page::{Page, Style, or_dash, plain};
use super::show::csv_rows;
use super::{Client, dead_letters};
use crate::args::client::WatchArgs;
use crate::args::queue::{HistoryArgs, QueueArgs, QueueCommand, Step};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &QueueArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    match &args.command {
        None => status(&client, args.watch).await,
        Some(QueueCommand::Status { watch }) => {
            status(&client, client.either(args.watch, *watch)).await
        }
        Some(QueueCommand::History(history)) => {
            let watch = client.either(args.watch, history.watch);
            show_history(&client, history, watch).await
        }
        Some(QueueCommand::Pause { period, consent }) => {
            client
                .change(args.watch, consent)?
                .carry_out(Change::Pause {
                    for_s: period.map(|period| period.as_secs()),
                })
                .await
        }
        Some(QueueCommand::Resume { consent }) => {
            client
                .change(args.watch, consent)?
                .carry_out(Change::Resume)
                .await
        }
        Some(QueueCommand::Dead(dead)) => {
            dead_letters::run(&client, args.watch, &dead.command).await
        }
    }
}

async fn status(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    client
        .show_command(watch)
        .show(|| ApiRequest::new(["queue"]), render, None)
        .await
}

async fn show_history(
    client: &Client,
    args: &HistoryArgs,
    watch: WatchArgs,
) -> anyhow::Result<Exit> {
    let back = args.since.as_millis() as u64;
    let step = match args.step {
        Some(Step::Second) => 1,
        Some(Step::Minute) => 60,
        None if back <= 3_600_000 => 1,
        None => 60,
    };
    let request = || {
        let since = epoch_ms().saturating_sub(back);
        ApiRequest::new(["queue", "history"])
            .with("step", step)
            .with("since_ms", since)
    };
    let show_command = client.show_command(watch);
    let is_watched = show_command.watch.is_some();
    let render = |history: &HistoryView, page: &mut Page| {
        let points = &history.points;
        let is_repainted = is_watched && page.terminal_style.terminal;
        let left_out = match is_repainted {
            true => points.len().saturating_sub(rows_that_fit()),
            false => 0,
        };
        render_history(&points[left_out..], page);
    };
    show_command.show(request, render, Some(history_csv)).await
}

/// Rows of a table that fit on the terminal, with a header, a note and the cursor.
fn rows_that_fit() -> usize {
    let (height, _) = console::Term::stdout().size();
    usize::from(height).saturating_sub(4).max(1)
}

/// A line for each alarm: what happened, since when, and what to do.
pub(crate) fn render_alarms(alarms: &[AlarmView], page: &mut Page) {
    for alarm in alarms {
        let style = match alarm.severity {
            Severity::Info => Style::Plain,
            Severity::Warning => Style::Warning,
            Severity::Critical => Style::Alarm,
        };
        let AlarmView {
            severity,
            message,
            remedy,
            since_at_ms,
            acknowledged,
            ..
        } = alarm;
        let since = moment(*since_at_ms);
        let (by, style) = match acknowledged {
            Some(of) => {
                let why = of.reason.as_ref().map(|reason| format!(": {reason}"));
                let by = format!("; acknowledged by {}{}", of.by, why.unwrap_or_default());
                (by, Style::Plain)
            }
            None => (String::new(), style),
        };
        page.line(
            &format!("{severity}: {message} (since {since}{by}). {remedy}"),
            style,
        );
    }
}

pub(crate) fn render(queue: &QueueView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    render_alarms(&queue.alarms, page);
    page.pair("stack", format!("{}, on {}", queue.stack, queue.engine));
    if let Some(note) = queue.durability_note() {
        page.styled_pair("durability", note, Style::Warning);
    }
    match &queue.paused {
        None => match queue.not_consuming() {
            None => page.pair("state", "consuming"),
            Some(why) => page.styled_pair("state", why.to_owned(), Style::Warning),
        },
        Some(pause) => {
            let mut text = format!(
                "PAUSED by {} since {}",
                pause.paused_by,
                moment(pause.paused_at_ms)
            );
            if let Some(at_ms) = pause.resumes_at_ms {
                text.push_str(&format!(", until {}", moment(at_ms)));
            }
            if !pause.nodes_pending.is_empty() {
                text.push_str(&format!(
                    "; still consuming: {}",
                    pause.nodes_pending.join(", ")
                ));
            }
            page.styled_pair("state", text, Style::Warning);
        }
    }
    let rides = page.reading("backlog", &queue.backlog_rides, |n| {
        terminal_style.of(n, "ride", "rides")
    });
    let trend = match queue.trend {
        Trend::Growing => "growing (last 10 s)",
        Trend::Steady => "steady (last 10 s)",
        Trend::Falling => "falling (last 10 s)",
        Trend::Unknown => "trend unknown",
    };
    page.pair("backlog", format!("{rides}, {trend}"));
    let total = page.reading("messages", &queue.total_messages, |n| {
        terminal_style.count(n)
    });
    let ready = page.reading("ready messages", &queue.ready_messages, |n| {
        terminal_style.count(n)
    });
    let held = page.reading("unacked messages", &queue.unacked_messages, |n| {
        terminal_style.count(n)
    });
    page.pair(
        "messages",
        format!("{total} ({ready} ready, {held} unacked)"),
    );
    let oldest = page.reading("oldest ride", &queue.oldest_ride_age_ms, |ms| match ms {
        0 => "none waiting".to_owned(),
        ms => span(ms),
    });
    page.pair("oldest ride", oldest);
    let drained = match &queue.time_to_drain {
        DrainTime::Empty => "queue empty".to_owned(),
        DrainTime::KeepingUp => "keeping up".to_owned(),
        DrainTime::Stable => "stable (stored as fast as accepted)".to_owned(),
        DrainTime::Eta { eta_s: seconds } => format!("in {}", span_s(*seconds)),
        DrainTime::Growing => "never at the rate of the last 10 s".to_owned(),
        DrainTime::Paused => "paused".to_owned(),
        DrainTime::Unknown { reason: why } => {
            page.note(format!("unknown: time to drain: {why}"));
            "unknown".to_owned()
        }
    };
    page.pair("time to drain", drained);
    let rates = &queue.rates;
    let mut said = Vec::new();
    for (name, reading) in [
        ("publish", &rates.publish_per_s),
        ("deliver", &rates.deliver_per_s),
        ("ack", &rates.ack_per_s),
        ("redelivered", &rates.redelivered_per_s),
        ("reads", &rates.reads_per_s),
        ("rejected", &rates.rejected_per_s),
    ] {
        let rate = page.reading(&format!("{name} rate"), reading, |rate| {
            terminal_style.rate(rate)
        });
        said.push(format!("{name} {rate}"));
    }
    page.pair("rates", said.join(", "));
    let stored_nothing = queue.rates.ack_per_s.value == Some(0.0);
    page.pair_of_latencies(
        "accept to stored",
        &queue.accept_to_stored_ms,
        stored_nothing,
    );
    let dead = page.reading("dead letters", &queue.dead_letters, |n| {
        terminal_style.count(n)
    });
    let style = match queue.dead_letters.value {
        Some(1..) => Style::Warning,
        _ => Style::Plain,
    };
    page.styled_pair("dead letters", dead, style);
    render_role("API", "channel", &queue.utilisation.api, page);
    render_role("workers", "thread", &queue.utilisation.worker, page);
    render_books(&queue.reconciliation, page);
    if let Some(management) = &queue.management {
        render_management(management, page);
    }
    render_consumers(&queue.consumers, page);
}

fn render_role(name: &str, lane: &str, role: &RoleUtilisationView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let mut text = terminal_style.of(role.nodes, "node", "nodes");
    if role.not_working > 0 {
        let not_working = terminal_style.count(role.not_working);
        text.push_str(&format!(" ({not_working} not working)"));
    }
    if role.lost > 0 {
        text.push_str(&format!(" and {} lost", terminal_style.count(role.lost)));
    }
    text.push_str(&format!(
        ", {}",
        terminal_style.of(role.threads, lane, &format!("{lane}s"))
    ));
    // Not measured for API nodes.
    if lane == "thread" {
        let busy = page.reading(&format!("{name} busy"), &role.busy, percent);
        text.push_str(&format!(", busy {busy}"));
    }
    let used = page.reading(&format!("{name} cores"), &role.cpu_cores, cores);
    let memory = page.reading(&format!("{name} memory"), &role.rss_bytes, bytes);
    text.push_str(&format!(", {used} cores, {memory}"));
    let style = if role.lost > 0 {
        Style::Warning
    } else {
        Style::Plain
    };
    page.styled_pair(name, text, style);
}

fn render_books(books: &ReconciliationView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let (word, style) = match books.verdict {
        Verdict::Balanced => ("balanced: ", Style::Good),
        Verdict::InFlight => ("", Style::Plain),
        Verdict::SuspectedLoss => ("SUSPECTED LOSS: ", Style::Warning),
        Verdict::Loss => ("LOSS: ", Style::Alarm),
        Verdict::Unknown => ("", Style::Warning),
    };
    page.styled_pair("reconciliation", format!("{word}{}", books.message), style);
    let mut said = Vec::new();
    for (name, reading) in [
        ("accepted", &books.accepted),
        ("settled", &books.settled),
        ("outstanding", &books.outstanding),
        ("lost messages", &books.lost_messages),
    ] {
        let number = page.reading(name, reading, |n| terminal_style.count(n));
        said.push(format!("{name} {number}"));
    }
    page.pair("", said.join(", "));
    let mut settled = Vec::new();
    for (name, reading) in [
        ("applied", &books.applied),
        ("duplicate", &books.duplicate),
        ("dead", &books.dead_letters),
        ("replayed", &books.replayed),
        ("foreign", &books.foreign),
        ("discarded", &books.discarded),
    ] {
        let number = page.reading(name, reading, |n| terminal_style.count(n));
        settled.push(format!("{name} {number}"));
    }
    page.pair("", settled.join(", "));
    if !books.lost_message_ids.is_empty() {
        page.note(format!("lost: {}", books.lost_message_ids.join(", ")));
    }
}

fn render_management(management: &ManagementView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    if let Some(why) = &management.error {
        page.note(format!("unknown: management API: {why}"));
    }
    let count =
        |n: Option<u64>| n.map_or_else(|| "unknown".to_owned(), |n| terminal_style.count(n));
    let rate = |n: Option<f64>| n.map_or_else(|| "unknown".to_owned(), |n| terminal_style.rate(n));
    page.pair(
        "management API",
        format!(
            "{} ready, {} unacked, {}, {} of message bodies",
            count(management.ready_messages),
            count(management.unacked_messages),
            management.consumers.map_or_else(
                || "unknown consumers".to_owned(),
                |n| terminal_style.of(n, "consumer", "consumers"),
            ),
            management
                .message_bytes
                .map_or_else(|| "unknown".to_owned(), bytes),
        ),
    );
    page.pair(
        "",
        format!(
            "messages: publish {}, deliver {}, ack {}, redelivered {}{}",
            rate(management.publish_per_s),
            rate(management.deliver_per_s),
            rate(management.ack_per_s),
            rate(management.redeliver_per_s),
            management
                .age_ms
                .map_or_else(String::new, |age| format!(" ({} ago)", span(age))),
        ),
    );
}

fn render_consumers(consumers: &[ConsumerView], page: &mut Page) {
    let terminal_style = page.terminal_style;
    let mut rows = Vec::new();
    for consumer in consumers {
        let style = match (consumer.lost, &consumer.blocked_reason) {
            (true, _) => Style::Alarm,
            (false, Some(_)) => Style::Warning,
            (false, None) if consumer.is_stale() => Style::Warning,
            (false, None) => Style::Plain,
        };
        let state = match (consumer.lost, &consumer.blocked_reason) {
            (true, _) => "lost",
            (false, Some(what)) => what,
            (false, None) if consumer.is_stale() => "active, last known",
            (false, None) => "active",
        };
        let name = format!("{} thread {}", consumer.node, consumer.thread);
        let ack = &consumer.ack_per_s;
        let ack = if ack.value.is_none() && consumer.lost {
            "-".to_owned()
        } else {
            page.reading_of(Some(CONSUMERS), &name, ack, |rate| {
                terminal_style.rate(rate)
            })
        };
        let last = consumer
            .last_ack_age_ms
            .map_or_else(|| "-".to_owned(), |age| format!("{} ago", span(age)));
        rows.push([
            plain(&consumer.node),
            plain(consumer.thread.to_string()),
            plain(&consumer.host),
            or_dash(consumer.instance_id.as_deref()),
            plain(terminal_style.count(consumer.unacked_messages.into())),
            plain(terminal_style.count(consumer.prefetch_messages.into())),
            plain(ack),
            plain(last),
            (state.to_owned(), style),
        ]);
    }
    page.table(
        &Columns {
            names: [
                "consumer",
                ">thread",
                "host",
                "instance",
                ">unacked",
                ">prefetch",
                ">ack",
                ">last ack",
                "~state",
            ],
            optional_columns: &["instance", "host", "prefetch", "last ack", "unacked"],
        },
        rows,
        "no consumers",
    );
}

fn render_history(points: &[HistoryPoint], page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = points.iter().map(|point| {
        let rate = |n: Option<f64>| {
            plain(n.map_or_else(|| "unknown".to_owned(), |n| terminal_style.rate(n)))
        };
        let count = |n: Option<u64>| {
            plain(n.map_or_else(|| "unknown".to_owned(), |n| terminal_style.count(n)))
        };
        let time = |n: Option<u64>| plain(n.map_or_else(|| "unknown".to_owned(), span));
        [
            plain(moment(point.at_ms)),
            rate(point.publish_per_s),
            rate(point.ack_per_s),
            rate(point.reads_per_s),
            rate(point.rejected_per_s),
            count(point.backlog_rides),
            time(point.accept_to_stored_p99_ms),
            time(point.oldest_ride_age_ms),
            count(point.dead_letters),
            count(point.workers),
            count(point.threads),
        ]
    });
    page.table(
        &Columns {
            names: [
                "at",
                ">publish",
                ">ack",
                ">reads",
                ">rejected",
                ">backlog",
                ">accept to stored p99",
                ">oldest ride",
                ">dead letters",
                ">workers",
                ">threads",
            ],
            optional_columns: &[
                "threads",
                "reads",
                "workers",
                "oldest ride",
                "dead letters",
                "rejected",
            ],
        },
        rows,
        "no data for this period",
    );
}

fn history_csv(history: &HistoryView) -> anyhow::Result<String> {
    csv_rows(&HistoryPoint::COLUMNS, &history.points)
}
