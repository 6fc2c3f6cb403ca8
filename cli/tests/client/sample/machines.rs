//! Machines, their cost, and plans that start and stop some.

use serde_json::{Value, json};
use skilift_console::view::change::{Change, Count, Scale};

use super::{AT, of, unknown};

/// Machines of every kind, with what there is to say of them.
pub(crate) fn fleet() -> Value {
    let machine = |id: &str, role: &str, zone: &str, state: &str| {
        json!({
            "id": id, "role": role, "name": null, "instance_type": "c7g.large", "zone": zone, "state": state, "reason": null,
            "started_at_ms": AT - 7_500_000, "address": "10.0.0.7", "usd_per_h": 0.0725, "price_error": null, "nodes": [],
            "obstacle": null,
        })
    };
    let mut api = machine("i-0a00000000000001", "api", "eu-central-1a", "running");
    api["name"] = json!("skilift-api-1");
    api["nodes"] = json!(["api-ip-10-0-0-7-9464"]);
    let mut broker = machine("i-0b00000000000001", "broker", "eu-central-1a", "running");
    broker["instance_type"] = json!("x9z.huge");
    broker["usd_per_h"] = Value::Null;
    broker["price_error"] = json!("the prices have no x9z.huge in eu-central-1");
    let mut works = machine("i-0c00000000000001", "worker", "eu-central-1a", "running");
    works["nodes"] = json!(["worker-ip-10-0-0-8-9464"]);
    let silent = machine("i-0c00000000000002", "worker", "eu-central-1b", "running");
    let mut fell_back = machine("i-0c00000000000003", "worker", "eu-central-1b", "stopped");
    fell_back["reason"] = json!("Server.InsufficientInstanceCapacity: there is no room");
    let mut grouped = machine("i-0c00000000000004", "worker", "eu-central-1c", "stopped");
    grouped["obstacle"] = json!("it belongs to the Auto Scaling group web, which would replace it");
    json!({
        "at_ms": AT, "kind": "ec2", "region": "eu-central-1", "age_ms": 1200, "error": null,
        "roles": [
            { "role": "api", "running": 1, "stopped": 0, "min": 1, "max": 8 },
            { "role": "worker", "running": 2, "stopped": 1, "min": 3, "max": 8 },
        ],
        "instances": [api, broker, works, silent, fell_back, grouped], "plan": "p7",
    })
}

/// A fleet without machines.
pub(crate) fn no_machines(kind: &str, why: Option<&str>) -> Value {
    json!({
        "at_ms": AT, "kind": kind, "region": null, "age_ms": null, "error": why, "roles": [], "instances": [], "plan": null,
    })
}

/// What all of them cost.
pub(crate) fn cost() -> Value {
    json!({
        "at_ms": AT, "prices": { "date": "2026-01-19", "source": "a price list" },
        "roles": [
            { "role": "api", "running": 1, "usd_per_h": of(json!(0.0725)) },
            { "role": "broker", "running": 1, "usd_per_h": of(json!(0.154)) },
            { "role": "worker", "running": 2, "usd_per_h": of(json!(0.145)) },
        ],
        "usd_per_h": of(json!(0.3715)), "stored_per_s": of(json!(1225.4)),
        "usd_per_million_stored": of(json!(0.084_211)), "has_broker": true, "has_redis": false,
        "notes": ["disks, traffic and the load balancer are not in it"],
    })
}

/// The same where prices and rates are missing.
pub(crate) fn unknown_cost() -> Value {
    let mut cost = cost();
    let why = "the prices have no x9z.huge in eu-central-1";
    let at_least = |value: f64| json!({ "value": value, "age_ms": 400, "error": format!("lower bound: {why}") });
    cost["roles"][1]["usd_per_h"] = unknown(why);
    cost["usd_per_h"] = at_least(0.2175);
    cost["stored_per_s"] = unknown("no worker is up");
    cost["usd_per_million_stored"] = unknown("no worker is up");
    cost["has_broker"] = json!(false);
    cost
}

/// By what plans of machines are told apart: `goes-on` is under way for a while, and the others end at once.
pub(crate) fn plan_id(scale: &Scale) -> &'static str {
    if scale.start.iter().any(|id| id == "i-denied") {
        return "denied";
    }
    match scale.roles.first().map(|wanted| wanted.count) {
        Some(Count::To(0)) => "severe",
        Some(Count::To(4)) => "goes-on",
        Some(Count::To(5)) => "in-part",
        _ if scale.start.is_empty() => "not-drained",
        _ => "no-room",
    }
}

/// Makes a plan for machines of what is a plan for anything.
pub(crate) fn plan(mut plan: Value, scale: &Scale) -> Value {
    let id = plan_id(scale);
    plan["id"] = json!(id);
    plan["actions"] = actions();
    plan["cost"] = json!({
        "before_usd_per_h": of(json!(0.2175)), "after_usd_per_h": of(json!(0.3625)), "starts_usd": of(json!(0.002_417)),
        "prices_date": "2026-01-19",
    });
    plan["effects"] = json!([
        "2 workers can store about 2450 rides/s (estimated: 35 % busy now); 4 can store about 4900"
    ]);
    match id {
        "severe" => {
            let why = "the prices have no x9z.huge in eu-central-1";
            let at_least = format!("lower bound: {why}");
            plan["danger"] = json!("severe");
            plan["confirm"] = json!("skilift");
            plan["cost"]["before_usd_per_h"]["error"] = json!(at_least);
            plan["cost"]["after_usd_per_h"] = unknown(why);
            plan["cost"]["starts_usd"] = of(json!(0.0));
        }
        "denied" => {
            plan["refusals"] = json!([{
                "reason": "EC2 refuses ec2:StartInstances to the console's role", "can_override": false, "code": "denied",
            }]);
        }
        _ => {}
    }
    plan
}

fn actions() -> Value {
    json!([
        { "action": "set worker threads", "target": "all workers", "before": "2", "after": "32" },
        start("i-0c00000000000003", "eu-central-1a"),
        start("i-0c00000000000005", "eu-central-1b"),
    ])
}

fn start(id: &str, zone: &str) -> Value {
    let machine = json!({ "role": "worker", "instance_type": "c7g.large", "zone": zone });
    json!({ "action": "start", "target": id, "before": "stopped", "after": "running, node up", "instance": machine })
}

/// An outcome with what came of the two starts, as code and message.
pub(crate) fn outcome(result: &str, came: [(&str, &str); 2]) -> Value {
    let actions = actions();
    let step = |at: usize, (code, message): (&str, &str)| {
        let done = matches!(code, "succeeded" | "unchanged");
        let message = (!message.is_empty()).then_some(message);
        json!({ "action": actions[at], "done": done, "code": code, "message": message })
    };
    let settings = json!({ "action": actions[0], "done": result != "failed", "message": null, "code": "succeeded" });
    let mut steps = vec![step(1, came[0]), step(2, came[1])];
    if result != "failed" {
        steps.insert(0, settings);
    }
    json!({ "result": result, "steps": steps })
}

/// What is answered to an apply.
pub(crate) fn applied(plan: &str) -> Option<Value> {
    let done = ("succeeded", "runs, and worker-ip-10-0-0-9-9464 is heard");
    let no_room = ("no_capacity", "eu-central-1b has no room for c7g.large now");
    Some(match plan {
        "goes-on" => outcome("running", [("under_way", "pending"), ("waiting", "")]),
        "in-part" => {
            let mut outcome = outcome("partial", [done, no_room]);
            outcome["steps"][2]["started_instead"] = json!("i-0c00000000000006");
            outcome
        }
        "no-room" => outcome("failed", [no_room, no_room]),
        "not-drained" => outcome(
            "failed",
            [
                (
                    "not_drained",
                    "worker-a still has 12 unacked or in flight after 120 s; it keeps working",
                ),
                ("waiting", "nothing was done to it"),
            ],
        ),
        _ => return None,
    })
}

/// The plan that goes on, some time later.
pub(crate) fn later(outcome: Value) -> Value {
    let mut plan = super::plan(&Change::Scale(Scale::default()));
    plan["id"] = json!("goes-on");
    plan["state"] = json!("applying");
    plan["outcome"] = outcome;
    plan
}

/// Its end.
pub(crate) fn ended() -> Value {
    let done = ("succeeded", "runs, and its node is heard");
    later(outcome(
        "succeeded",
        [done, ("unchanged", "already running")],
    ))
}

/// The list of plans.
pub(crate) fn plans() -> Value {
    let plan = |id: &str, command: &str, state: &str, steps_done: Option<usize>| {
        json!({
            "id": id, "change": "scale", "command": command, "created_by": "anna", "created_at_ms": super::AT,
            "danger": "moderate", "state": state, "is_refused": false, "is_cancelling": false, "steps_done": steps_done, "steps": 2,
            "result": match state {
                "applying" => Some("running"),
                "applied" => Some("succeeded"),
                "failed" => Some("partial"),
                "cancelled" => Some("failed"),
                _ => None,
            },
        })
    };
    json!({ "next": "p4", "plans": [
        plan("p7", "skictl scale worker=4 --threads 32", "applying", Some(1)),
        plan("p6", "skictl queue pause", "planned", None),
        plan("p5", "skictl scale worker=2", "cancelled", Some(0)),
        plan("p4", "skictl settings set worker --threads 16", "applied", Some(2)),
        plan("p3", "skictl scale api=+1 worker=+1", "failed", Some(1)),
    ]})
}

/// The plan that goes on, after it was cancelled.
pub(crate) fn cancelled() -> Value {
    let mut plan = later(outcome(
        "failed",
        [
            (
                "cancelled",
                "cancelled while draining; its node keeps working",
            ),
            ("cancelled", "cancelled before it began"),
        ],
    ));
    plan["state"] = json!("cancelled");
    plan
}
