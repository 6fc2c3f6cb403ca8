//! `skictl queue`: how much waits, how fast it moves, how late it is stored; pause and resume.

use skilift_console::view::books::{BooksView, Verdict};
use skilift_console::view::change::Change;
use skilift_console::view::queue::{
    ConsumerView, DrainTime, HistoryView, ManagementView, QueueView, RoleUtilisationView, Trend,
};
use skilift_core::clock::epoch_ms;

use super::connection::Question;
use super::look::{bytes, cores, moment, percent, span, span_s};
use super::page::{Page, Tone, or_dash, plain};
use super::show::csv_rows;
use super::{Client, letters};
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
        Some(QueueCommand::Pause { consent }) => {
            client
                .change(args.watch, consent)?
                .carry_out(Change::Pause)
                .await
        }
        Some(QueueCommand::Resume { consent }) => {
            client
                .change(args.watch, consent)?
                .carry_out(Change::Resume)
                .await
        }
        Some(QueueCommand::Dead(dead)) => letters::run(&client, args.watch, &dead.command).await,
    }
}

async fn status(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    client
        .showing(watch)
        .show(|| Question::new(["queue"]), draw, None)
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
    let ask = || {
        let since = epoch_ms().saturating_sub(back);
        Question::new(["queue", "history"])
            .with("step", step)
            .with("since_ms", since)
    };
    client
        .showing(watch)
        .show(ask, draw_history, Some(history_csv))
        .await
}

fn draw(queue: &QueueView, page: &mut Page) {
    let look = page.look;
    for alarm in &queue.alarms {
        page.line(&format!("ALARM: {alarm}"), Tone::Alarm);
    }
    page.pair("stack", format!("{}, on {}", queue.stack, queue.engine));
    match &queue.paused {
        None => page.pair("state", "consuming"),
        Some(pause) => {
            let mut text = format!("PAUSED by {} since {}", pause.by, moment(pause.since_ms));
            if !pause.not_yet.is_empty() {
                text.push_str(&format!("; still consuming: {}", pause.not_yet.join(", ")));
            }
            page.toned_pair("state", text, Tone::Warning);
        }
    }
    let rides = page.reading("backlog", &queue.total_rides, |n| {
        look.of(n, "ride", "rides")
    });
    let trend = match queue.trend {
        Trend::Growing => "growing",
        Trend::Steady => "steady",
        Trend::Falling => "falling",
        Trend::Unknown => "trend unknown",
    };
    page.pair("backlog", format!("{rides}, {trend}"));
    let total = page.reading("messages", &queue.total_messages, |n| look.count(n));
    let ready = page.reading("ready messages", &queue.ready_messages, |n| look.count(n));
    let held = page.reading("held messages", &queue.unacked_messages, |n| look.count(n));
    page.pair("messages", format!("{total} ({ready} ready, {held} held)"));
    let oldest = page.reading("oldest ride", &queue.oldest_ms, |ms| match ms {
        0 => "nothing waits".to_owned(),
        ms => span(ms),
    });
    page.pair("oldest ride", oldest);
    let drained = match &queue.drain {
        DrainTime::Empty => "nothing waits".to_owned(),
        DrainTime::KeepsUp => "keeps up".to_owned(),
        DrainTime::Level => "as much is stored as arrives".to_owned(),
        DrainTime::In { seconds } => format!("in {}", span_s(*seconds)),
        DrainTime::Never => "never at this rate".to_owned(),
        DrainTime::Unknown { why } => {
            page.note(format!("unknown: drained: {why}"));
            "unknown".to_owned()
        }
    };
    page.pair("drained", drained);
    let rates = &queue.rates;
    let mut said = Vec::new();
    for (name, reading) in [
        ("publish", &rates.publish_per_s),
        ("deliver", &rates.deliver_per_s),
        ("ack", &rates.ack_per_s),
        ("redelivered", &rates.redelivered_per_s),
        ("reads", &rates.reads_per_s),
    ] {
        let rate = page.reading(&format!("{name} rate"), reading, |rate| look.rate(rate));
        said.push(format!("{name} {rate}"));
    }
    page.pair("rates", said.join(", "));
    page.pair_of_latencies("stored after", &queue.stored_after);
    let dead = page.reading("dead letters", &queue.dead_letters, |n| look.count(n));
    let tone = match queue.dead_letters.value {
        Some(1..) => Tone::Warning,
        _ => Tone::Plain,
    };
    page.toned_pair("dead letters", dead, tone);
    draw_role("API", "lane", &queue.utilisation.api, page);
    draw_role("workers", "thread", &queue.utilisation.worker, page);
    draw_books(&queue.books, page);
    if let Some(management) = &queue.management {
        draw_management(management, page);
    }
    draw_consumers(&queue.consumers, page);
}

fn draw_role(name: &str, lane: &str, role: &RoleUtilisationView, page: &mut Page) {
    let look = page.look;
    let mut text = look.of(role.nodes, "node", "nodes");
    if role.lost > 0 {
        text.push_str(&format!(" and {} lost", look.count(role.lost)));
    }
    text.push_str(&format!(
        ", {}",
        look.of(role.threads, lane, &format!("{lane}s"))
    ));
    // Lanes of API nodes only wait.
    if lane == "thread" {
        let busy = page.reading(&format!("{name} busy"), &role.busy, percent);
        text.push_str(&format!(", busy {busy}"));
    }
    let used = page.reading(&format!("{name} cores"), &role.cpu_cores, cores);
    let memory = page.reading(&format!("{name} memory"), &role.rss_bytes, bytes);
    text.push_str(&format!(", {used} cores, {memory}"));
    let tone = if role.lost > 0 {
        Tone::Warning
    } else {
        Tone::Plain
    };
    page.toned_pair(name, text, tone);
}

fn draw_books(books: &BooksView, page: &mut Page) {
    let look = page.look;
    let (word, tone) = match books.verdict {
        Verdict::Closed => ("closed", Tone::Good),
        Verdict::Open => ("open", Tone::Plain),
        Verdict::Suspect => ("SUSPECT", Tone::Warning),
        Verdict::Lost => ("LOST", Tone::Alarm),
        Verdict::Unknown => ("unknown", Tone::Warning),
    };
    page.toned_pair("books", format!("{word}: {}", books.says), tone);
    let mut said = Vec::new();
    for (name, reading) in [
        ("accepted", &books.accepted),
        ("settled", &books.settled),
        ("outstanding", &books.outstanding),
        ("lost messages", &books.lost_messages),
    ] {
        let number = page.reading(name, reading, |n| look.count(n));
        said.push(format!("{name} {number}"));
    }
    page.pair("", said.join(", "));
    let mut settled = Vec::new();
    for (name, reading) in [
        ("applied", &books.applied),
        ("duplicate", &books.duplicate),
        ("dead", &books.dead),
        ("replayed", &books.replayed),
        ("foreign", &books.foreign),
        ("discarded", &books.discarded),
    ] {
        let number = page.reading(name, reading, |n| look.count(n));
        settled.push(format!("{name} {number}"));
    }
    page.pair("", settled.join(", "));
    for id in &books.lost {
        page.note(format!("lost: message {id}"));
    }
}

fn draw_management(management: &ManagementView, page: &mut Page) {
    let look = page.look;
    if let Some(why) = &management.unknown {
        page.note(format!("unknown: management API: {why}"));
    }
    let count = |n: Option<u64>| n.map_or_else(|| "unknown".to_owned(), |n| look.count(n));
    let rate = |n: Option<f64>| n.map_or_else(|| "unknown".to_owned(), |n| look.rate(n));
    page.pair(
        "management API",
        format!(
            "{} ready, {} held, {} consumers, {} of bodies",
            count(management.ready_messages),
            count(management.unacked_messages),
            count(management.consumers),
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

fn draw_consumers(consumers: &[ConsumerView], page: &mut Page) {
    let look = page.look;
    let mut rows = Vec::new();
    for consumer in consumers {
        let tone = match (consumer.lost, &consumer.hindrance) {
            (true, _) => Tone::Alarm,
            (false, Some(_)) => Tone::Warning,
            (false, None) => Tone::Plain,
        };
        let state = match (consumer.lost, &consumer.hindrance) {
            (true, _) => "lost",
            (false, Some(what)) => what,
            (false, None) => "works",
        };
        let name = format!("{} thread {}", consumer.node, consumer.lane);
        let ack = page.reading(&name, &consumer.ack_per_s, |rate| look.rate(rate));
        let last = consumer
            .last_ack_age_ms
            .map_or_else(|| "-".to_owned(), |age| format!("{} ago", span(age)));
        rows.push([
            plain(&consumer.node),
            plain(consumer.lane.to_string()),
            plain(&consumer.host),
            or_dash(consumer.instance.as_deref()),
            plain(look.count(consumer.held_messages.into())),
            plain(look.count(consumer.prefetch_messages.into())),
            plain(ack),
            plain(last),
            (state.to_owned(), tone),
        ]);
    }
    page.table(
        [
            "consumer",
            ">thread",
            "host",
            "instance",
            ">held",
            ">of",
            ">ack",
            ">last ack",
            "state",
        ],
        rows,
        "no consumers",
    );
}

fn draw_history(history: &HistoryView, page: &mut Page) {
    let look = page.look;
    let rows = history.points.iter().map(|point| {
        let rate = |n: Option<f64>| plain(n.map_or_else(|| "unknown".to_owned(), |n| look.rate(n)));
        let count =
            |n: Option<u64>| plain(n.map_or_else(|| "unknown".to_owned(), |n| look.count(n)));
        let time = |n: Option<u64>| plain(n.map_or_else(|| "unknown".to_owned(), span));
        [
            plain(moment(point.at_ms)),
            rate(point.publish_per_s),
            rate(point.ack_per_s),
            rate(point.reads_per_s),
            count(point.backlog_rides),
            time(point.stored_after_p99_ms),
            time(point.oldest_ms),
            count(point.dead_letters),
            count(point.workers),
            count(point.threads),
        ]
    });
    page.table(
        [
            "at",
            ">publish",
            ">ack",
            ">reads",
            ">backlog",
            ">stored p99",
            ">oldest",
            ">dead",
            ">workers",
            ">threads",
        ],
        rows,
        "nothing is known of this time",
    );
}

fn history_csv(history: &HistoryView) -> anyhow::Result<String> {
    let header = [
        "at_ms",
        "publish_per_s",
        "ack_per_s",
        "reads_per_s",
        "backlog_rides",
        "stored_after_p99_ms",
        "oldest_ms",
        "dead_letters",
        "workers",
        "threads",
    ];
    csv_rows(header, &history.points)
}
