//! What the canned console answers: one of everything, with unknowns among it.

pub(crate) mod machines;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use skilift_console::view::access::{KeysView, LoginView, TokensView, UsersView};
use skilift_console::view::audit::AuditView;
use skilift_console::view::change::Change;
use skilift_console::view::cost::CostView;
use skilift_console::view::dead_letters::{DeadLetterView, DeadLettersView};
use skilift_console::view::fleet::FleetView;
use skilift_console::view::nodes::{NodeDetailView, NodesView};
use skilift_console::view::plan::{OutcomeView, PlanList, PlanView};
use skilift_console::view::queue::{HistoryView, QueueView};
use skilift_console::view::settings::{SettingsHistoryView, SettingsView};
use skilift_console::view::stats::{
    DayList, HourStats, LiftStats, ResortList, ResortStats, SeasonList, SkierStats, TopStats,
};

use crate::console::{ReceivedRequest, ScriptedResponse, problem};

/// 2026-01-15T09:00:00Z
const AT: u64 = 1_768_467_600_000;

/// What is answered to a question.
pub(crate) fn answer(asked: &ReceivedRequest) -> ScriptedResponse {
    let (method, url) = asked.line.split_once(' ').unwrap();
    let path = url.split('?').next().unwrap();
    let path = path.strip_prefix("/admin/v1/").unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["queue"]) => view::<QueueView>(queue()),
        ("GET", ["queue", "history"]) => view::<HistoryView>(history()),
        ("GET", ["dead-letters"]) => view::<DeadLettersView>(json!({
            "total": 2, "dead_letters": [letter()], "next": "0000000000000001-0-7-3"
        })),
        ("GET", ["dead-letters", _]) => view::<DeadLetterView>(letter()),
        ("GET", ["nodes"]) => {
            view::<NodesView>(json!({ "at_ms": AT, "nodes": [api(), idle(), worker()] }))
        }
        ("GET", ["nodes", _]) => view::<NodeDetailView>(node_detail()),
        ("GET", ["fleet"]) => view::<FleetView>(machines::fleet()),
        ("GET", ["cost"]) => view::<CostView>(machines::cost()),
        ("GET", ["plans"]) => view::<PlanList>(machines::plans()),
        ("GET", ["plans", "goes-on"]) => view::<PlanView>(machines::ended()),
        ("GET", ["plans", "severe"]) => view::<PlanView>(plan(&Change::SetIngest {
            keys: false,
            if_version: None,
        })),
        ("GET", ["plans", "moderate"]) => view::<PlanView>(plan(&Change::Pause { for_s: None })),
        ("GET", ["settings"]) => view::<SettingsView>(settings()),
        ("GET", ["settings", _, "history"]) => view::<SettingsHistoryView>(settings_history()),
        ("GET", ["audit"]) => view::<AuditView>(audit()),
        ("GET", ["users"]) => view::<UsersView>(json!({ "users": [
            { "name": "anna", "role": "admin", "created_at_ms": AT, "last_login_at_ms": AT + 60_000 },
            { "name": "ben", "role": "viewer", "created_at_ms": AT, "last_login_at_ms": null },
        ]})),
        ("GET", ["tokens"]) => view::<TokensView>(json!({ "tokens": [{
            "id": "3f2a", "name": "nightly", "role": "viewer", "created_by": "anna", "created_at_ms": AT,
            "expires_at_ms": AT + 86_400_000, "last_used_at_ms": null,
        }]})),
        ("GET", ["keys"]) => view::<KeysView>(json!({ "ingest": "open", "keys": [
            { "id": "9c01", "name": "gate-7", "resorts": [1, 2], "created_by": "anna", "created_at_ms": AT },
            { "id": "9c00", "name": "test", "resorts": null, "created_by": "anna", "created_at_ms": AT },
        ]})),
        ("GET", ["stats", "resorts"]) => view::<ResortList>(json!({ "resorts": [
            { "resort": 1, "resort_name": "Zermatt, Valais", "seasons": 2, "latest_season": "2025" },
            { "resort": 7, "resort_name": "resort 7", "seasons": 0, "latest_season": null },
        ]})),
        ("GET", ["stats", .., "seasons"]) => view::<SeasonList>(json!({ "seasons": [
            { "season": "2024", "days": 0, "first_day": null, "last_day": null },
            { "season": "2025", "days": 12, "first_day": 1, "last_day": 14 },
        ]})),
        ("GET", ["stats", .., "days"]) => view::<DayList>(json!({ "days": [
            { "day": 1, "skiers": 2048, "rides": 12_345 },
            { "day": 14, "skiers": 1, "rides": 1 },
        ]})),
        ("GET", ["stats", "skiers", _]) => view::<SkierStats>(json!({
            "skier": 4711, "rides": 1234, "vertical_m": 512_345, "oldest_ride_age_ms": 1200, "days": [
                { "resort": 1, "resort_name": "Zermatt, Valais", "season": "2025", "day": 12, "rides": 1234, "vertical_m": 512_345 }
            ],
        })),
        ("GET", ["stats", .., "day" | "days", _]) => view::<ResortStats>(json!({
            "resort": 1, "resort_name": "Zermatt", "season": "2025", "day": 12, "skiers": 2048, "rides": 12_345,
            "duplicates": 3, "vertical_m": 5_000_000, "oldest_ride_age_ms": null,
        })),
        ("GET", ["stats", .., "lifts"]) => view::<LiftStats>(json!({ "lifts": [
            { "lift": 1, "name": "Gornergrat", "rides": 9000, "vertical_m": 420 },
            { "lift": 2, "name": null, "rides": 3345, "vertical_m": 20 },
        ]})),
        ("GET", ["stats", .., "hours"]) => {
            let hours: Vec<Value> = (0..24)
                .map(|hour| json!({ "hour": hour, "rides": if hour == 9 { 12_345 } else { 0 } }))
                .collect();
            view::<HourStats>(json!({ "hours": hours }))
        }
        ("GET", ["stats", .., "top"]) => view::<TopStats>(json!({ "skiers": [
            { "rank": 1, "skier": 4711, "rides": 41, "vertical_m": 17_220 },
            { "rank": 2, "skier": 7, "rides": 40, "vertical_m": 16_800 },
        ]})),
        ("POST", ["login"]) => view::<LoginView>(json!({
            "token": "ski_token_made", "expires_at_ms": AT,
            "user": { "name": "anna", "role": "admin", "read_only": false },
        })),
        ("POST", ["logout"]) => ScriptedResponse::With(204, String::new()),
        ("POST", ["plans"]) => {
            let change = serde_json::from_value(asked.body.clone());
            match change {
                Ok(change) => view::<PlanView>(plan(&change)),
                Err(error) => problem(400, "invalid", &error.to_string()),
            }
        }
        ("POST", ["plans", id, "apply"]) => view::<OutcomeView>(outcome(id)),
        ("POST", ["plans", "goes-on", "cancel"]) => view::<PlanView>(machines::cancelled()),
        _ => problem(404, "not_found", &format!("{url} not found")),
    }
}

/// A body that is certainly one of the form.
fn view<T: Serialize + DeserializeOwned>(sample: Value) -> ScriptedResponse {
    let view: T = serde_json::from_value(sample).unwrap();
    ScriptedResponse::With(200, serde_json::to_string(&view).unwrap())
}

/// A plan for a change: severe for what loses or opens something, refused for the draining of the node "last".
pub(crate) fn plan(change: &Change) -> Value {
    let (id, danger, confirm) = match change {
        Change::Discard { .. } => ("severe", "severe", Some("discard 2")),
        Change::SetIngest { keys: false, .. } => ("severe", "severe", Some("open")),
        Change::Resume => ("already", "none", None),
        Change::Undrain { .. } => ("partial", "moderate", None),
        Change::Replay { .. } => ("failed", "moderate", None),
        Change::AddToken { .. } | Change::AddKey { .. } => ("secret", "moderate", None),
        _ => ("moderate", "moderate", None),
    };
    let refusals = match change {
        Change::Drain { node } if node == "last" => json!([
            { "reason": "last working worker", "can_override": true }
        ]),
        Change::RemoveUser { name } if name == "anna" => json!([
            { "reason": "anna is the last admin", "can_override": false }
        ]),
        _ => json!([]),
    };
    let actions = if danger == "none" {
        json!([])
    } else {
        json!([action()])
    };
    let plan = json!({
        "id": id, "change": change, "created_by": "anna", "created_at_ms": AT, "expires_at_ms": AT + 600_000,
        "fingerprint": "f1", "actions": actions, "effects": ["the backlog is gone in 12 s instead of 40 s"],
        "danger": danger, "confirm": confirm, "refusals": refusals, "state": "planned", "outcome": null,
    });
    match change {
        Change::Scale(scale) => machines::plan(plan, scale),
        _ => plan,
    }
}

fn action() -> Value {
    json!({ "action": "set threads", "target": "worker", "before": "2", "after": "16" })
}

fn outcome(plan: &str) -> Value {
    if let Some(outcome) = machines::applied(plan) {
        return outcome;
    }
    let step = |done: bool, message: Option<&str>| json!({ "action": action(), "done": done, "message": message });
    match plan {
        "already" => json!({ "result": "unchanged", "steps": [] }),
        "partial" => json!({ "result": "partial", "steps": [
            step(true, None), step(false, Some("the node ")),
        ]}),
        "failed" => {
            json!({ "result": "failed", "steps": [step(false, Some("RabbitMQ cannot be reached"))] })
        }
        "secret" => json!({
            "result": "succeeded", "steps": [step(true, None)], "secret": "ski_ingest_5ec4e7", "created_id": "9c02",
        }),
        _ => json!({ "result": "succeeded", "steps": [step(true, None)] }),
    }
}

/// An outcome that is not yet there.
pub(crate) fn running(message: &str) -> Value {
    json!({ "result": "running", "steps": [{ "action": action(), "done": false, "message": message }] })
}

fn of(value: Value) -> Value {
    json!({ "value": value, "age_ms": 400 })
}

fn unknown(why: &str) -> Value {
    json!({ "value": null, "error": why })
}

pub(crate) fn queue() -> Value {
    let away = "RabbitMQ does not answer: connection refused";
    let consumer = |lane: u32, lost: bool, hindrance: Option<&str>| {
        json!({
            "node": "worker-gate7-9464", "host": "gate7", "instance_id": null, "thread": lane, "prefetch_messages": 16,
            "unacked_messages": 3, "ack_per_s": of(json!(612.5)), "last_ack_age_ms": 40, "blocked_reason": hindrance, "lost": lost,
        })
    };
    json!({
        "stack": "skilift", "at_ms": AT, "engine": "RabbitMQ and Redis",
        "paused": { "paused_at_ms": AT, "paused_by": "anna", "nodes_pending": ["worker-gate8-9464"] },
        "ready_messages": unknown(away), "unacked_messages": of(json!(6)), "total_messages": unknown(away),
        "backlog_rides": { "value": 123_456, "age_ms": 12_000, "error": "Redis does not answer" },
        "dead_letters": of(json!(2)),
        "rates": {
            "publish_per_s": of(json!(1500.0)), "deliver_per_s": of(json!(0.0)), "ack_per_s": of(json!(1225.0)),
            "redelivered_per_s": of(json!(0.4)), "reads_per_s": unknown("no heartbeat from an API node"), "rejected_per_s": of(json!(2.5)), "unkeyed_per_s": of(json!(0.0)),
        },
        "oldest_ride_age_ms": { "value": 2500, "age_ms": 400, "is_upper_bound": true },
        "accept_to_stored_ms": { "p50": of(json!(12)), "p95": of(json!(48)), "p99": of(json!(1310)) },
        "trend": "growing", "time_to_drain": { "state": "growing" },
        "utilisation": {
            "api": role(1, 0, 1, unknown("lanes only wait")), "worker": role(2, 1, 4, of(json!(0.456))),
        },
        "consumers": [consumer(0, false, None), consumer(1, false, Some("Redis is slow")), consumer(2, true, None)],
        "reconciliation": {
            "verdict": "loss", "message": "1 message is gone", "accepted": of(json!(1_000_000)), "settled": of(json!(999_000)),
            "replayed": of(json!(0)), "foreign": of(json!(0)), "applied": of(json!(998_000)), "duplicate": of(json!(998)),
            "dead_letters": of(json!(2)), "discarded": of(json!(0)), "outstanding": of(json!(1000)),
            "outstanding_messages": of(json!(5)), "lost_messages": of(json!(1)), "lost_message_ids": ["0000000000000001-0-77"],
        },
        "management": {
            "age_ms": 1500, "error": null, "ready_messages": 10, "unacked_messages": 6, "publish_per_s": 12.0,
            "deliver_per_s": null, "ack_per_s": 9.6, "redeliver_per_s": 0.0, "consumers": 4, "message_bytes": 1_048_576,
        },
        "alarms": [
            { "code": "loss", "severity": "critical", "since_at_ms": AT, "message": "1 message is lost", "remedy": "Find out what removed it." },
            { "code": "paused", "severity": "info", "since_at_ms": AT, "message": "consumption paused by anna", "remedy": "`skictl queue resume`" },
        ],
    })
}

fn role(nodes: u64, lost: u64, threads: u64, busy: Value) -> Value {
    json!({
        "nodes": nodes, "lost": lost, "threads": threads, "busy": busy, "cpu_cores": of(json!(0.254)),
        "rss_bytes": of(json!(80_000_000)),
    })
}

fn history() -> Value {
    json!({ "step_s": 1, "points": [
        {
            "at_ms": AT, "publish_per_s": 1500.0, "ack_per_s": 1225.5, "reads_per_s": 3.2, "rejected_per_s": 2.5, "backlog_rides": 123_456.0,
            "accept_to_stored_p99_ms": 1310.0, "oldest_ride_age_ms": 2500.0, "dead_letters": 2.0, "workers": 2.0, "threads": 4.0,
        },
        {
            "at_ms": AT + 1000, "publish_per_s": 1500.0, "ack_per_s": null, "reads_per_s": null, "rejected_per_s": null, "backlog_rides": null,
            "accept_to_stored_p99_ms": null, "oldest_ride_age_ms": null, "dead_letters": 2.0, "workers": 0.0, "threads": 0.0,
        },
    ]})
}

fn letter() -> Value {
    json!({
        "id": "0000000000000001-0-7-3", "reason": "not a ride: expected value at column 1",
        "line": "poison\u{1b}[2J, which is long enough that a list of letters must not show all of it at once",
        "received_at_ms": AT, "replays": 1, "replayed_at_ms": AT + 5000, "state": "dead",
    })
}

fn node(id: &str, role: &str, state: &str) -> Value {
    json!({
        "id": id, "role": role, "boot_id": "00000000000000aa", "host": "gate7", "instance_id": null, "version": "0.1.0",
        "state": state, "message": null, "last_heartbeat_age_ms": 400, "uptime_s": 7500, "desired": { "version": 3, "hash": 7 },
        "actual": { "version": 3, "hash": 7 }, "settings": { "threads": 2 }, "threads": 2, "busy": of(json!(0.5)),
        "rides_per_s": of(json!(1225.0)), "rejected_per_s": of(json!(0.0)), "unacked_messages": (role == "worker").then_some(6),
        "in_flight_rides": (role == "api").then_some(6),
        "latency": { "p50": of(json!(12)), "p95": of(json!(48)), "p99": of(json!(1310)) },
        "cpu_cores": of(json!(0.254)), "rss_bytes": 80_000_000, "clock_skew_ms": 3,
    })
}

fn api() -> Value {
    let mut api = node("api-gate7-9463", "api", "ready");
    api["actual"] = Value::Null;
    api["cpu_cores"] = unknown("the first ten seconds are not over");
    api
}

fn idle() -> Value {
    let mut idle = node("worker-gate6-9464", "worker", "ready");
    let nothing = unknown("no samples in the last 10 s");
    idle["rides_per_s"] = of(json!(0.0));
    idle["latency"] = json!({ "p50": nothing.clone(), "p95": nothing.clone(), "p99": nothing });
    idle
}

fn worker() -> Value {
    let mut worker = node("worker-gate7-9464", "worker", "lost");
    worker["message"] = json!("no heartbeat for 367 s");
    worker["last_heartbeat_age_ms"] = json!(367_000);
    let gone = unknown("no recent heartbeat");
    worker["busy"] = gone.clone();
    worker["rides_per_s"] = gone.clone();
    worker["cpu_cores"] = gone.clone();
    worker["latency"] = json!({ "p50": gone.clone(), "p95": gone.clone(), "p99": gone });
    worker
}

fn node_detail() -> Value {
    let mut worker = worker();
    worker["events"] = json!([
        { "at_ms": AT + 4_500_000, "state": "lost", "text": "lost: no heartbeat for 5 s; ready for 1 h 14 min before" },
        { "at_ms": AT, "state": "ready", "text": "ready; first heartbeat received, boot id 00000000000000aa, settings: version 3" },
    ]);
    worker
}

fn settings() -> Value {
    json!({ "sections": [
        {
            "section": "worker", "generation": { "version": 3, "hash": 7 },
            "values": { "threads": 16, "prefetch": 4000, "batch": 1000, "linger_ms": 25 }, "updated_at_ms": AT, "updated_by": "anna",
            "nodes_up_to_date": 1, "nodes_pending": ["worker-gate8-9464"], "note": "the embedded engine always runs one consumer",
        },
        {
            "section": "ingest", "generation": null, "values": { "ingest": "open" }, "updated_at_ms": null, "updated_by": null,
            "nodes_up_to_date": 1, "nodes_pending": [], "note": null,
        },
    ]})
}

fn settings_history() -> Value {
    let version = |number: u64, threads: u64, plan: Option<&str>| {
        json!({
            "generation": { "version": number, "hash": 7 }, "values": { "threads": threads, "batch": 1000 }, "updated_at_ms": AT,
            "updated_by": "anna", "plan": plan,
        })
    };
    json!({ "section": "worker", "versions": [version(2, 16, Some("p1")), version(1, 2, None)] })
}

fn audit() -> Value {
    json!({ "next": 1, "entries": [
        {
            "number": 3, "at_ms": AT, "actor": "anna", "role": "admin", "source_ip": "127.0.0.1", "user_agent": "skictl/0.1.0",
            "action": "apply", "target": "worker", "plan": "p1", "before": "threads=2", "after": "threads=16",
            "outcome": "succeeded", "reason": null,
        },
        {
            "number": 2, "at_ms": AT, "actor": "unknown", "role": null, "source_ip": "127.0.0.1", "user_agent": null, "action": "login",
            "target": null, "plan": null, "before": null, "after": null, "outcome": "refused",
            "reason": "wrong name, or password",
        },
    ]})
}
