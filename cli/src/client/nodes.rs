//! `skictl nodes`: actual and desired state of each node; drain, undrain and forget.

use std::time::Duration;

use skilift_console::view::Reading;
use skilift_console::view::change::Change;
use skilift_console::view::figures::counted;
use skilift_console::view::nodes::{NodeDetailView, NodeState, NodeView, NodesView};
use skilift_console::view::settings::GenerationView;
use tokio::time::Instant;

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::error::ClientError;
use super::figures::{bytes, cores, moment, percent, span};
use super::notes::NODES;
use super::page::{Page, Style, or_dash, plain};
use crate::args::client::{ConsentArgs, WatchArgs};
use crate::args::operator::{NodesArgs, NodesCommand};
use crate::args::scale::WaitArgs;
use crate::exit::Exit;

/// Events that the table shows; the JSON has all that are kept.
const EVENTS_SHOWN: usize = 12;

/// How often the state of a draining node is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the command.
pub(crate) async fn run(args: &NodesArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    match &args.command {
        None => list(&client, args.watch).await,
        Some(NodesCommand::List { watch }) => {
            list(&client, client.either(args.watch, *watch)).await
        }
        Some(NodesCommand::Show { node, watch }) => {
            let request = || ApiRequest::new(["nodes", node]);
            let watch = client.either(args.watch, *watch);
            client.show_command(watch).show(request, render, None).await
        }
        Some(NodesCommand::Drain {
            node,
            wait,
            consent,
        }) => drain(&client, args.watch, node, *wait, consent).await,
        Some(NodesCommand::Forget { node, consent }) => {
            let node = node.clone();
            client
                .change(args.watch, consent)?
                .carry_out(Change::Forget { node })
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

/// Drains a node, and waits until it is drained if that was asked for.
async fn drain(
    client: &Client,
    watch: WatchArgs,
    node: &str,
    wait: WaitArgs,
    consent: &ConsentArgs,
) -> anyhow::Result<Exit> {
    wait.check().map_err(ClientError::Usage)?;
    let change = Change::Drain {
        node: node.to_owned(),
    };
    let exit = client.change(watch, consent)?.carry_out(change).await?;
    if exit != Exit::Done || !wait.wait || consent.dry_run {
        return Ok(exit);
    }
    let until = wait.timeout.map(|timeout| Instant::now() + timeout);
    let mut said = None;
    loop {
        let NodeDetailView { node: seen, .. } = client
            .console
            .view(&ApiRequest::new(["nodes", node]))
            .await?;
        if seen.state == NodeState::Drained || seen.is_gone() {
            say!("skictl: {node} is {}", seen.state);
            return Ok(Exit::Done);
        }
        let held = seen.outstanding();
        if said.replace(held) != Some(held) {
            let what = if seen.role == "worker" {
                counted(held, "unacked message", "unacked messages")
            } else {
                counted(held, "ride in flight", "rides in flight")
            };
            say!("skictl: {node} is {}: {what}", seen.state);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            say!("skictl: {node} is not drained yet; see `skictl nodes show {node}`");
            return Ok(Exit::TimedOut);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn list(client: &Client, watch: WatchArgs) -> anyhow::Result<Exit> {
    let request = || ApiRequest::new(["nodes"]);
    client
        .show_command(watch)
        .show(request, render_list, None)
        .await
}

fn state(node: &NodeView) -> (String, Style) {
    if node.is_stale() {
        return (format!("{}, last known", node.state), Style::Warning);
    }
    let style = match node.state {
        NodeState::Ready => Style::Good,
        NodeState::Starting | NodeState::Stopped => Style::Plain,
        NodeState::Degraded | NodeState::Paused | NodeState::Draining | NodeState::Drained => {
            Style::Warning
        }
        NodeState::Unavailable | NodeState::Lost => Style::Alarm,
    };
    (node.state.to_string(), style)
}

/// The version of the settings that it runs, and the desired version if it differs.
fn generation(node: &NodeView) -> (String, Style) {
    let number = |generation: Option<GenerationView>| {
        generation.map_or_else(|| "flags".to_owned(), |of| of.version.to_string())
    };
    if node.is_gone() || node.desired.is_none() || node.desired == node.actual {
        return plain(number(node.actual));
    }
    let text = format!(
        "{} → {} (pending)",
        number(node.actual),
        number(node.desired)
    );
    (text, Style::Warning)
}

/// A figure of a node in the list, or a dash if the node is lost.
fn figure<T: Copy>(
    page: &mut Page,
    node: &NodeView,
    reading: &Reading<T>,
    show: impl Fn(T) -> String,
) -> (String, Style) {
    if reading.value.is_none() && node.state == NodeState::Lost {
        return or_dash(None);
    }
    plain(page.reading_of(Some(NODES), &node.id, reading, show))
}

/// Whether the node is known to have received no ride in the last ten seconds.
fn is_idle(node: &NodeView) -> bool {
    node.rides_per_s.value == Some(0.0)
}

fn render_list(nodes: &NodesView, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let mut rows = Vec::new();
    for node in &nodes.nodes {
        let is_lost = node.state == NodeState::Lost;
        // A lost node holds and uses nothing.
        let last = |value: String| if is_lost { or_dash(None) } else { plain(value) };
        let busy = match node.role.as_str() {
            "api" => or_dash(None),
            _ => figure(page, node, &node.busy, percent),
        };
        let rate = figure(page, node, &node.rides_per_s, |n| terminal_style.rate(n));
        let p99 = &node.latency.p99;
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
            plain(terminal_style.count(node.threads)),
            busy,
            rate,
            last(terminal_style.count(node.outstanding())),
            p99,
            used,
            last(bytes(node.rss_bytes)),
            plain(format!("{} ago", span(node.last_heartbeat_age_ms))),
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
                ">unacked",
                ">p99",
                ">cores",
                ">memory",
                ">heartbeat",
                "version",
            ],
            optional_columns: &[
                "version",
                "threads",
                "memory",
                "cores",
                "unacked",
                "heartbeat",
                "settings",
                "busy",
                "p99",
                "rides",
            ],
        },
        rows,
        "no nodes",
    );
}

fn render(shown: &NodeDetailView, page: &mut Page) {
    let NodeDetailView { node, events } = shown;
    let terminal_style = page.terminal_style;
    let is_lost = node.state == NodeState::Lost;
    page.pair("node", &node.id);
    page.pair("role", &node.role);
    let (word, style) = state(node);
    let text = match &node.message {
        _ if is_lost => format!(
            "{word}: no heartbeat for {}",
            span(node.last_heartbeat_age_ms)
        ),
        Some(message) => format!("{word}: {message}"),
        None => word,
    };
    page.styled_pair("state", text, style);
    page.pair("host", &node.host);
    page.pair("instance", node.instance_id.as_deref().unwrap_or("unknown"));
    page.pair("version", &node.version);
    page.pair("boot id", &node.boot_id);
    page.pair("up", span(node.uptime_s.saturating_mul(1000)));
    page.pair(
        "heartbeat",
        format!("{} ago", span(node.last_heartbeat_age_ms)),
    );
    let (text, style) = generation(node);
    page.styled_pair("settings", text, style);
    for (name, value) in &node.settings {
        page.pair(&format!("  {name}"), terminal_style.count(*value));
    }
    page.pair("threads", terminal_style.count(node.threads));
    if node.role == "worker" {
        pair_of(page, node, "busy", &node.busy, percent);
    }
    pair_of(page, node, "rides", &node.rides_per_s, |n| {
        terminal_style.rate(n)
    });
    if node.role == "api" {
        pair_of(page, node, "rejected", &node.rejected_per_s, |n| {
            terminal_style.rate(n)
        });
    }
    let (outstanding_of, latency) = match node.role.as_str() {
        "worker" => ("unacked messages", "accept to stored"),
        _ => ("in flight", "POST latency"),
    };
    page.pair(outstanding_of, terminal_style.count(node.outstanding()));
    page.pair_of_latencies(latency, &node.latency, is_lost || is_idle(node));
    pair_of(page, node, "cores", &node.cpu_cores, cores);
    page.pair("memory", bytes(node.rss_bytes));
    page.pair("clock", format!("{:+} ms", node.clock_skew_ms));
    let rows = events
        .iter()
        .take(EVENTS_SHOWN)
        .map(|event| [plain(moment(event.at_ms)), plain(&event.text)]);
    page.table(
        &Columns {
            names: ["at", "event"],
            optional_columns: &[],
        },
        rows,
        "no events",
    );
}

/// A figure of a single node; the state explains why a lost node has none.
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
