//! `skictl ec2`: the machines, which of them to start and which to stop.

use serde_json::Value;
use skilift_console::view::change::{Change, Scale};
use skilift_console::view::fleet::{FleetView, InstanceView};

use super::Client;
use super::columns::Columns;
use super::connection::{Question, parse};
use super::error::ClientError;
use super::look::{span, usd};
use super::page::{Page, Tone, or_dash, plain};
use crate::args::client::ConsentArgs;
use crate::args::ec2::{Ec2Args, Ec2Command, ListArgs};
use crate::args::scale::WaitArgs;
use crate::exit::Exit;

/// How machines come to be listed.
const HOW_TO: &str = "\
skictl serve console finds EC2 instances by their tags skilift:stack and skilift:role, and skictl up with --amqp-url and \
--redis-url runs its workers as processes of their own";

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

/// What is named, each once.
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
    wait.check(false).map_err(ClientError::Usage)?;
    if args.list.role.is_some() {
        let what = "--role is for the list; here machines are named by their ids".to_owned();
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
    let showing = client.showing(client.either(args.list.watch, inner.watch));
    let ask = || Question::new(["fleet"]);
    let edit = |json: String| match role {
        Some(role) => only(role, &json),
        None => Ok(json),
    };
    let draw = |fleet: &FleetView, page: &mut Page| draw(fleet, role, page);
    showing.show_edited(ask, edit, draw, None).await
}

/// What is said of one role, with whatever fields we do not know.
fn only(role: &str, json: &str) -> Result<String, ClientError> {
    let mut fleet: Value = parse(json)?;
    for list in ["roles", "instances"] {
        if let Some(Value::Array(items)) = fleet.get_mut(list) {
            items.retain(|item| item["role"] == role);
        }
    }
    Ok(fleet.to_string())
}

fn draw(fleet: &FleetView, role: Option<&str>, page: &mut Page) {
    let kind = match (fleet.kind.as_str(), &fleet.region) {
        ("ec2", Some(region)) => format!("EC2 instances in {region}"),
        ("ec2", None) => "EC2 instances".to_owned(),
        ("local", _) => "child processes of skictl up".to_owned(),
        (other, _) => other.to_owned(),
    };
    page.pair("machines", kind);
    if fleet.kind == "none" {
        page.note(fleet.unknown.as_deref().unwrap_or(HOW_TO));
        return;
    }
    if let Some(why) = &fleet.unknown {
        page.toned_pair("not as they are now", why, Tone::Warning);
    }
    if let Some(age) = fleet.age_ms {
        page.pair("listed", format!("{} ago", span(age)));
    }
    if let Some(plan) = &fleet.plan {
        let text = format!("plan {plan}: skictl scale --follow {plan} waits for its end");
        page.toned_pair("under way", text, Tone::Warning);
    }
    roles(fleet, page);
    let nothing = match (role, &fleet.unknown) {
        (Some(role), _) => format!("no machines of the role {role}"),
        (None, Some(_)) => "no machines are known".to_owned(),
        (None, None) => format!("no machines: {HOW_TO}"),
    };
    instances(fleet, &nothing, page);
}

fn roles(fleet: &FleetView, page: &mut Page) {
    if fleet.roles.is_empty() {
        return;
    }
    let look = page.look;
    let count =
        |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| look.count(count));
    let rows = fleet.roles.iter().map(|role| {
        let is_within = |up| (role.min..=role.max).contains(&up);
        let tone = if role.up.is_none_or(is_within) {
            Tone::Plain
        } else {
            Tone::Warning
        };
        [
            plain(&role.role),
            (count(role.up), tone),
            plain(count(role.stopped)),
            plain(look.count(role.min)),
            plain(look.count(role.max)),
        ]
    });
    page.table(
        &Columns {
            names: ["role", ">up", ">stopped", ">min", ">max"],
            spare: &[],
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
        if let Some(why) = &machine.price_unknown
            && fleet.kind != "local"
        {
            page.note_of(&machine.id, &format!("price unknown: {why}"));
        }
        if let Some(reason) = &machine.reason {
            // Some reasons begin with the state.
            let text = if reason.starts_with(&machine.state) {
                reason.clone()
            } else {
                format!("{}: {reason}", machine.state)
            };
            page.note_of(&machine.id, &text);
        }
        if let Some(obstacle) = &machine.obstacle {
            let text = format!("neither started nor stopped here: {obstacle}");
            page.note_of(&machine.id, &text);
        }
    }
    page.table(
        &Columns {
            names: [
                "machine", "role", "name", "type", "zone", "state", ">an hour", "address",
                "~nodes", ">up",
            ],
            spare: &["name", "address", "up", "an hour", "type", "zone", "nodes"],
        },
        rows,
        nothing,
    );
}

fn state(machine: &InstanceView) -> (String, Tone) {
    let tone = match machine.state.as_str() {
        // It runs, and does no work that we know of.
        "running" if machine.nodes.is_empty() => Tone::Warning,
        "running" => Tone::Good,
        "pending" | "stopping" => Tone::Warning,
        "shutting-down" | "terminated" => Tone::Alarm,
        _ => Tone::Plain,
    };
    (machine.state.clone(), tone)
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
