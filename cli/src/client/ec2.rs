//! `skictl ec2`: lists, starts and stops instances.

use serde_json::Value;
use skilift_console::view::change::{Change, Scale};
use skilift_console::view::fleet::{FleetView, InstanceView};

use super::Client;
use super::columns::Columns;
use super::connection::{ApiRequest, parse};
use super::error::ClientError;
use super::figures::{span, usd};
use super::page::{Page, Style, or_dash, plain};
use crate::args::client::ConsentArgs;
use crate::args::ec2::{Ec2Args, Ec2Command, ListArgs};
use crate::args::scale::WaitArgs;
use crate::exit::Exit;

/// How instances are found.
const HOW_TO: &str = "\
`skictl serve console` finds EC2 instances by their tags skilift:stack and skilift:role, and `skictl up` with --amqp-url \
and --redis-url runs its workers as child processes";

/// Runs the command.
pub(crate) async fn run(args: &Ec2Args) -> anyhow::Result<Exit> {
    match &args.command {
        None => list(args, &args.list).await,
        Some(Ec2Command::List(inner)) => list(args, inner).await,
        Some(Ec2Command::Start { ids, wait, consent }) => {
            let scale = Scale {
                start: once(ids),
                ..Scale::default()
            };
            change(args, scale, *wait, consent).await
        }
        Some(Ec2Command::Stop {
            ids,
            drain,
            wait,
            consent,
        }) => {
            let scale = Scale {
                stop: once(ids),
                ..drain.scale()
            };
            change(args, scale, *wait, consent).await
        }
    }
}

/// The given IDs without duplicates.
fn once(ids: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for id in ids {
        if !kept.contains(id) {
            kept.push(id.clone());
        }
    }
    kept
}

async fn change(
    args: &Ec2Args,
    scale: Scale,
    wait: WaitArgs,
    consent: &ConsentArgs,
) -> anyhow::Result<Exit> {
    wait.check().map_err(ClientError::Usage)?;
    if args.list.role.is_some() {
        let what = "--role applies only to the list; start and stop take instance IDs".to_owned();
        return Err(ClientError::Usage(what).into());
    }
    let client = Client::new(&args.client)?;
    let mut changing = client.change(args.list.watch, consent)?;
    changing.patience = wait.into();
    changing.carry_out(Change::Scale(scale)).await
}

async fn list(args: &Ec2Args, inner: &ListArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let role = inner.role.as_deref().or(args.list.role.as_deref());
    let show_command = client.show_command(client.either(args.list.watch, inner.watch));
    let request = || ApiRequest::new(["fleet"]);
    let edit = |json: String| match role {
        Some(role) => only(role, &json),
        None => Ok(json),
    };
    let render = |fleet: &FleetView, page: &mut Page| render(fleet, role, page);
    show_command.show_edited(request, edit, render, None).await
}

/// The JSON of one role, with all unknown fields preserved.
fn only(role: &str, json: &str) -> Result<String, ClientError> {
    let mut fleet: Value = parse(json)?;
    for list in ["roles", "instances"] {
        if let Some(Value::Array(items)) = fleet.get_mut(list) {
            items.retain(|item| item["role"] == role);
        }
    }
    Ok(fleet.to_string())
}

fn render(fleet: &FleetView, role: Option<&str>, page: &mut Page) {
    let kind = match (fleet.kind.as_str(), &fleet.region) {
        ("ec2", Some(region)) => format!("EC2 instances in {region}"),
        ("ec2", None) => "EC2 instances".to_owned(),
        ("local", _) => "child processes of `skictl up`".to_owned(),
        (other, _) => other.to_owned(),
    };
    page.pair("instances", kind);
    if fleet.kind == "none" {
        page.note(fleet.error.as_deref().unwrap_or(HOW_TO));
        return;
    }
    if let Some(why) = &fleet.error {
        page.styled_pair("stale", why, Style::Warning);
    }
    if let Some(age) = fleet.age_ms {
        page.pair("listed", format!("{} ago", span(age)));
    }
    if let Some(plan) = &fleet.plan {
        let text = format!("plan {plan}: wait for it with `skictl plans show {plan} --wait`");
        page.styled_pair("running", text, Style::Warning);
    }
    roles(fleet, page);
    let nothing = match (role, &fleet.error) {
        (Some(role), _) => format!("no instances of role {role}"),
        (None, Some(_)) => "instances unknown".to_owned(),
        (None, None) => format!("no instances: {HOW_TO}"),
    };
    instances(fleet, &nothing, page);
}

fn roles(fleet: &FleetView, page: &mut Page) {
    if fleet.roles.is_empty() {
        return;
    }
    let terminal_style = page.terminal_style;
    let count = |count: Option<u64>| {
        count.map_or_else(|| "unknown".to_owned(), |count| terminal_style.count(count))
    };
    let rows = fleet.roles.iter().map(|role| {
        let is_within = |up| (role.min..=role.max).contains(&up);
        let style = if role.running.is_none_or(is_within) {
            Style::Plain
        } else {
            Style::Warning
        };
        [
            plain(&role.role),
            (count(role.running), style),
            plain(count(role.stopped)),
            plain(terminal_style.count(role.min)),
            plain(terminal_style.count(role.max)),
        ]
    });
    page.table(
        &Columns {
            names: ["role", ">up", ">stopped", ">min", ">max"],
            optional_columns: &[],
        },
        rows,
        "",
    );
}

fn instances(fleet: &FleetView, nothing: &str, page: &mut Page) {
    let mut rows = Vec::new();
    for machine in &fleet.instances {
        let is_up = matches!(machine.state.as_str(), "running" | "pending");
        let since = machine.started_at_ms.filter(|_| is_up);
        let age = since.map(|since| span(fleet.at_ms.saturating_sub(since)));
        let nodes = (!machine.nodes.is_empty()).then(|| machine.nodes.join(", "));
        let price = machine.usd_per_h.map(usd);
        let price = match fleet.kind.as_str() {
            // A child process has none.
            "local" => or_dash(None),
            _ => plain(price.unwrap_or_else(|| "unknown".to_owned())),
        };
        rows.push([
            plain(&machine.id),
            plain(&machine.role),
            or_dash(machine.name.as_deref()),
            plain(&machine.instance_type),
            plain(&machine.zone),
            state(machine),
            price,
            or_dash(machine.address.as_deref().filter(|_| is_up)),
            or_dash(nodes.as_deref()),
            or_dash(age.as_deref()),
        ]);
        if let Some(why) = &machine.price_error
            && fleet.kind != "local"
        {
            page.note_of(&machine.id, &format!("price unknown: {why}"));
        }
        if let Some(reason) = &machine.reason {
            // Some reasons start with the state.
            let text = if reason.starts_with(&machine.state) {
                reason.clone()
            } else {
                format!("{}: {reason}", machine.state)
            };
            page.note_of(&machine.id, &text);
        }
        if let Some(obstacle) = &machine.obstacle {
            let text = format!("cannot be started or stopped here: {obstacle}");
            page.note_of(&machine.id, &text);
        }
    }
    page.table(
        &Columns {
            names: [
                "instance",
                "role",
                "name",
                "type",
                "zone",
                "state",
                ">per hour",
                "address",
                "~nodes",
                ">up",
            ],
            optional_columns: &["name", "address", "up", "per hour", "type", "zone", "nodes"],
        },
        rows,
        nothing,
    );
}

fn state(machine: &InstanceView) -> (String, Style) {
    let style = match machine.state.as_str() {
        // It is running without a known node.
        "running" if machine.nodes.is_empty() => Style::Warning,
        "running" => Style::Good,
        "pending" | "stopping" => Style::Warning,
        "shutting-down" | "terminated" => Style::Alarm,
        _ => Style::Plain,
    };
    (machine.state.clone(), style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_role_is_kept_with_what_we_do_not_know() {
        let json = r#"{"zebra":1,"roles":[{"role":"api"},{"role":"worker"}],"instances":[{"role":"worker","x":2}]}"#;
        assert_eq!(
            only("worker", json).unwrap(),
            r#"{"instances":[{"role":"worker","x":2}],"roles":[{"role":"worker"}],"zebra":1}"#
        );
    }

    #[test]
    fn an_id_that_is_named_twice_is_meant_once() {
        let ids = ["b", "a", "b"].map(str::to_owned);
        assert_eq!(once(&ids), ["b", "a"]);
    }
}
