//! `skictl nodes`: what each node does beside what it shall do; drain and undrain.

use skilift_console::view::change::Change;
use skilift_console::view::nodes::{NodeState, NodeView, NodesView};
use skilift_console::view::settings::GenerationView;

use super::Client;
use super::connection::Question;
use super::look::{bytes, cores, percent, span};
use super::page::{Page, Tone, plain};
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

fn draw_list(nodes: &NodesView, page: &mut Page) {
    let look = page.look;
    let mut rows = Vec::new();
    for node in &nodes.nodes {
        let name = &node.id;
        let busy = match node.role.as_str() {
            "api" => "-".to_owned(),
            _ => page.reading(&format!("{name} busy"), &node.busy, percent),
        };
        let rate = page.reading(&format!("{name} rides"), &node.rides_per_s, |n| {
            look.rate(n)
        });
        let p99 = page.reading(&format!("{name} p99"), &node.latency.p99_ms, span);
        let used = page.reading(&format!("{name} cores"), &node.cpu_cores, cores);
        rows.push([
            plain(name),
            state(node),
            generation(node),
            plain(look.count(node.threads)),
            plain(busy),
            plain(rate),
            plain(look.count(node.held)),
            plain(p99),
            plain(used),
            plain(bytes(node.rss_bytes)),
            plain(format!("{} ago", span(node.heard_ms))),
            plain(&node.version),
        ]);
        if let Some(message) = &node.message {
            page.note(format!("{name}: {message}"));
        }
    }
    page.table(
        [
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
        rows,
        "no nodes",
    );
}

fn draw(node: &NodeView, page: &mut Page) {
    let look = page.look;
    page.pair("node", &node.id);
    page.pair("role", &node.role);
    let (word, tone) = state(node);
    let text = match &node.message {
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
        let busy = page.reading("busy", &node.busy, percent);
        page.pair("busy", busy);
    }
    let rate = page.reading("rides", &node.rides_per_s, |n| look.rate(n));
    page.pair("rides", rate);
    let (held, latency) = match node.role.as_str() {
        "worker" => ("messages held", "stored after"),
        _ => ("rides in flight", "POST takes"),
    };
    page.pair(held, look.count(node.held));
    page.pair_of_latencies(latency, &node.latency);
    let used = page.reading("cores", &node.cpu_cores, cores);
    page.pair("cores", used);
    page.pair("memory", bytes(node.rss_bytes));
    page.pair("clock", format!("{:+} ms", node.clock_skew_ms));
}
