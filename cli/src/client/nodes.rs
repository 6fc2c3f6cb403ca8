//! `skictl nodes`: what each node does beside what it shall do; drain and undrain.

use skilift_console::view::Reading;
use skilift_console::view::change::Change;
use skilift_console::view::nodes::{NodeState, NodeView, NodesView};
use skilift_console::view::settings::GenerationView;

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::look::{bytes, cores, percent, span};
use super::notes::NODES;
use super::page::{Page, Tone, or_dash, plain};
use crate::args::client::WatchArgs;
use crate::args::operate::{NodesArgs, NodesCommand};
use crate::exit::Exit;

/// Runs the command.
pub(crate) async fn run(args: &NodesArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    match &args.command {
        None => list(&client, args.watch).await,
        Some(NodesCommand::List { watch }) => {
            list(&client, client.either(args.watch, *watch)).await
        }
        Some(NodesCommand::Show { node, watch }) => {
            let ask = || Question::new(["nodes", node]);
            let watch = client.either(args.watch, *watch);
            client.showing(watch).show(ask, draw, None).await
        }
        Some(NodesCommand::Drain { node, consent }) => {
            let node = node.clone();
            client
                .change(args.watch, consent)?
                .carry_out(Change::Drain { node })
                .await
        }
        Some(NodesCommand::Undrain { node, consent }) => {
            let node = node.clone();
            client
                .change(args.watch, consent)?
                .carry_out(Change::Undrain { node })
                .await
        }
    }
}

async fn list(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    let ask = || Question::new(["nodes"]);
    client.showing(watch).show(ask, draw_list, None).await
}

fn state(node: &NodeView) -> (String, Tone) {
    let (word, tone) = match node.state {
        NodeState::Working => ("working", Tone::Good),
        NodeState::Degraded => ("degraded", Tone::Warning),
        NodeState::Starting => ("starting", Tone::Plain),
        NodeState::Unavailable => ("unavailable", Tone::Alarm),
        NodeState::Paused => ("paused", Tone::Warning),
        NodeState::Draining => ("draining", Tone::Warning),
        NodeState::Drained => ("drained", Tone::Warning),
        NodeState::Ended => ("ended", Tone::Plain),
        NodeState::Lost => ("lost", Tone::Alarm),
    };
    (word.to_owned(), tone)
}

/// What it runs, and what it shall run where that is another.
fn generation(node: &NodeView) -> (String, Tone) {
    let number = |generation: Option<GenerationView>| {
        generation.map_or_else(|| "flags".to_owned(), |of| of.number.to_string())
    };
    if node.desired.is_none() || node.desired == node.actual {
        return plain(number(node.actual));
    }
    let text = format!("{}, shall be {}", number(node.actual), number(node.desired));
    (text, Tone::Warning)
}

/// A figure of a node in the list, or a dash where there is none for a good reason: the node is gone, or nothing happened.
fn figure<T: Copy>(
    page: &mut Page,
    node: &NodeView,
    reading: &Reading<T>,
    show: impl Fn(T) -> String,
) -> (String, Tone) {
    if reading.value.is_none() && node.state == NodeState::Lost {
        return or_dash(None);
    }
    plain(page.reading_of(Some(NODES), &node.id, reading, show))
}

/// Whether it is known that no ride came to a node in the last ten seconds.
fn is_idle(node: &NodeView) -> bool {
    node.rides_per_s.value == Some(0.0)
}

fn draw_list(nodes: &NodesView, page: &mut Page) {
    let look = page.look;
    let mut rows = Vec::new();
    for node in &nodes.nodes {
        let is_lost = node.state == NodeState::Lost;
        // What a lost node held and used is over.
        let last = |value: String| if is_lost { or_dash(None) } else { plain(value) };
        let busy = match node.role.as_str() {
            "api" => or_dash(None),
            _ => figure(page, node, &node.busy, percent),
        };
        let rate = figure(page, node, &node.rides_per_s, |n| look.rate(n));
        let p99 = &node.latency.p99_ms;
        let p99 = if p99.value.is_none() && is_idle(node) {
            or_dash(None)
        } else {
            figure(page, node, p99, span)
        };
        let used = figure(page, node, &node.cpu_cores, cores);
        rows.push([
            plain(&node.id),
            state(node),
            generation(node),
            plain(look.count(node.threads)),
            busy,
            rate,
            last(look.count(node.held)),
            p99,
            used,
            last(bytes(node.rss_bytes)),
            plain(format!("{} ago", span(node.heard_ms))),
            plain(&node.version),
        ]);
        if let Some(message) = &node.message
            && !is_lost
        {
            page.note_of(&node.id, message);
        }
    }
    page.table(
        &Columns {
            names: [
                "node",
                "state",
                ">settings",
                ">threads",
                ">busy",
                ">rides",
                ">held",
                ">p99",
                ">cores",
                ">memory",
                ">heard",
                "version",
            ],
            spare: &[
                "version", "threads", "memory", "cores", "held", "heard", "settings", "busy",
                "p99", "rides",
            ],
        },
        rows,
        "no nodes",
    );
}

fn draw(node: &NodeView, page: &mut Page) {
    let look = page.look;
    let is_lost = node.state == NodeState::Lost;
    page.pair("node", &node.id);
    page.pair("role", &node.role);
    let (word, tone) = state(node);
    let text = match &node.message {
        _ if is_lost => format!("{word}: not heard for {}", span(node.heard_ms)),
        Some(message) => format!("{word}: {message}"),
        None => word,
    };
    page.toned_pair("state", text, tone);
    page.pair("host", &node.host);
    page.pair("instance", node.instance.as_deref().unwrap_or("unknown"));
    page.pair("version", &node.version);
    page.pair("life", &node.boot);
    page.pair("up", span(node.up_s.saturating_mul(1000)));
    page.pair("heard", format!("{} ago", span(node.heard_ms)));
    let (text, tone) = generation(node);
    page.toned_pair("settings", text, tone);
    for (name, value) in &node.settings {
        page.pair(&format!("  {name}"), look.count(*value));
    }
    page.pair("threads", look.count(node.threads));
    if node.role == "worker" {
        pair_of(page, node, "busy", &node.busy, percent);
    }
    pair_of(page, node, "rides", &node.rides_per_s, |n| look.rate(n));
    let (held, latency) = match node.role.as_str() {
        "worker" => ("messages held", "stored after"),
        _ => ("rides in flight", "POST takes"),
    };
    page.pair(held, look.count(node.held));
    page.pair_of_latencies(latency, &node.latency, is_lost || is_idle(node));
    pair_of(page, node, "cores", &node.cpu_cores, cores);
    page.pair("memory", bytes(node.rss_bytes));
    page.pair("clock", format!("{:+} ms", node.clock_skew_ms));
}

/// A figure of the one node that is shown; its state says why a lost one has none.
fn pair_of<T: Copy>(
    page: &mut Page,
    node: &NodeView,
    name: &str,
    reading: &Reading<T>,
    show: impl Fn(T) -> String,
) {
    if reading.value.is_none() && node.state == NodeState::Lost {
        page.pair(name, "-");
        return;
    }
    let text = page.reading(name, reading, show);
    page.pair(name, text);
}
