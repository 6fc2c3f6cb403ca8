//! Records as version 0.1.0 writes them into the console's directory. They must stay readable: a field that is added to one of these types
//! needs a default, and unknown fields are ignored.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::view::audit::AuditEntry;
use crate::view::plan::PlanView;
use crate::view::queue::HistoryPoint;

/// Reads a record as it is, and with a field that a later version might write.
#[track_caller]
fn is_readable<T: DeserializeOwned>(mut record: Value) {
    serde_json::from_value::<T>(record.clone()).unwrap();
    record["a_later_field"] = json!({"nested": [1]});
    serde_json::from_value::<T>(record).unwrap();
}

#[test]
fn plans_of_the_first_version_are_read() {
    let action = json!({
        "action": "pause consumption", "target": "all workers", "before": "consuming", "after": "paused",
    });
    let plan = json!({
        "id": "p1", "change": {"change": "pause"}, "created_by": "local", "created_at_ms": 1_795_984_348_968_u64,
        "expires_at_ms": 1_795_985_248_968_u64, "fingerprint": "eaf4b7070fabb856", "actions": [action],
        "effects": ["rides are still accepted"], "danger": "moderate", "confirm": null, "refusals": [],
        "state": "planned", "outcome": null,
    });
    is_readable::<PlanView>(plan.clone());
    for change in [
        json!({"change": "set_worker", "threads": 8}),
        json!({"change": "scale", "roles": [{"role": "worker", "count": {"to": 3}}]}),
        json!({"change": "rollback", "section": "worker", "version": 1}),
    ] {
        let mut other = plan.clone();
        other["change"] = change;
        is_readable::<PlanView>(other);
    }
    let mut applied = plan;
    applied["state"] = json!("applied");
    applied["outcome"] = json!({
        "result": "succeeded", "secret": null, "created_id": null,
        "steps": [{
            "action": {"action": "pause consumption", "target": "all workers", "before": null, "after": null},
            "done": true, "message": null,
        }],
    });
    is_readable::<PlanView>(applied);
}

#[test]
fn audit_entries_of_the_first_version_are_read() {
    is_readable::<AuditEntry>(json!({
        "number": 5, "at_ms": 1_795_984_348_986_u64, "actor": "local", "role": "admin", "source_ip": "127.0.0.1",
        "user_agent": "skictl/0.1.0", "action": "apply", "target": "pause", "plan": "p2", "before": "consuming",
        "after": "paused", "outcome": "succeeded", "reason": null,
    }));
}

#[test]
fn history_of_the_first_version_is_read() {
    is_readable::<HistoryPoint>(json!({
        "at_ms": 1_795_984_320_000_u64, "publish_per_s": 61.6, "ack_per_s": 11.7, "reads_per_s": 0.0, "backlog_rides": 830,
        "accept_to_stored_p99_ms": 29, "oldest_ride_age_ms": 13286, "dead_letters": 0, "workers": 1, "threads": 0,
    }));
}
