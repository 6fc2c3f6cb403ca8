//! Pause, drain, and nodes that are gone for good.

use std::ops::RangeInclusive;
use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{Document, DrainRequest, Pause, Role};

use super::planned_change::PlannedChange;
use crate::console::Console;
use crate::error::Error;
use crate::roster::KnownNode;
use crate::view::figures::span;

/// How long a pause that ends by itself may take, in seconds.
const PAUSE_S: RangeInclusive<u64> = 1..=7 * 86_400;

/// Pauses consumption.
pub(super) fn pause(
    console: &Arc<Console>,
    for_s: Option<u64>,
    by: &str,
) -> Result<PlannedChange, Error> {
    if for_s.is_some_and(|seconds| !PAUSE_S.contains(&seconds)) {
        return Err(Error::invalid(format!(
            "for_s must be from {} to {}",
            PAUSE_S.start(),
            PAUSE_S.end()
        )));
    }
    let document = console.desired.document();
    let basis = pause_basis(&document);
    let now_ms = epoch_ms();
    if let Some(pause) = document.pause_at(now_ms)
        && (for_s.is_none() || pause.resumes_at_ms.is_some())
    {
        return Ok(PlannedChange::already(basis));
    }
    let mut prepared = PlannedChange::new(basis)
        .with_action("pause consumption", "all workers", Some("consuming".to_owned()), Some("paused".to_owned()))
        .with_effect("rides are still accepted and stay in the queue: the backlog grows until consumption is resumed, or until the queue reaches its limit and rides are rejected");
    if let Some(seconds) = for_s {
        let period = span(seconds.saturating_mul(1_000));
        prepared = prepared.with_effect(format!("it ends by itself after {period}"));
    }
    let mut after = changed(&document);
    after.pause = Some(Pause {
        paused_at_ms: now_ms,
        paused_by: by.to_owned(),
        resumes_at_ms: for_s.map(|seconds| now_ms.saturating_add(seconds.saturating_mul(1_000))),
    });
    prepared.mutation.document = Some(after);
    Ok(prepared)
}

/// Resumes consumption.
pub(super) fn resume(console: &Arc<Console>) -> Result<PlannedChange, Error> {
    let document = console.desired.document();
    let basis = pause_basis(&document);
    if document.pause_at(epoch_ms()).is_none() {
        return Ok(PlannedChange::already(basis));
    }
    let mut prepared = PlannedChange::new(basis).with_action(
        "resume consumption",
        "all workers",
        Some("paused".to_owned()),
        Some("consuming".to_owned()),
    );
    let mut after = changed(&document);
    after.pause = None;
    prepared.mutation.document = Some(after);
    Ok(prepared)
}

fn pause_basis(document: &Document) -> String {
    format!("pause {:?}", document.pause_at(epoch_ms()))
}

/// A copy of the document with the next serial.
fn changed(document: &Document) -> Document {
    Document {
        serial: document.next_serial(),
        ..document.clone()
    }
}

/// Drains a node: it finishes its messages and receives no more.
pub(super) fn drain(
    console: &Arc<Console>,
    node: &str,
    plan: &str,
) -> Result<PlannedChange, Error> {
    let document = console.desired.document();
    let nodes = console.roster.nodes();
    let known = find(&nodes, node)?;
    let is_marked = document.drains.iter().any(|mark| is_of(mark, known));
    let others = nodes
        .iter()
        .filter(|other| other.role == known.role && other.works && other.node != known.node)
        // A node that was set to drain a moment ago may not have reported it yet.
        .filter(|other| !document.drains.iter().any(|mark| is_of(mark, other)))
        .count();
    let basis = format!(
        "drain {node} {} {is_marked} {} {}",
        known.boot,
        known.is_gone,
        others == 0
    );
    if is_marked {
        return Ok(PlannedChange::already(basis));
    }
    let mut prepared = PlannedChange::new(basis).with_action(
        "drain",
        node,
        Some(
            if known.works {
                "working"
            } else {
                "not working"
            }
            .to_owned(),
        ),
        Some("draining, then drained".to_owned()),
    );
    prepared = match known.role {
        Role::Worker => {
            prepared.with_effect("the worker stores and acknowledges its unacked messages, and receives no more")
        }
        Role::Api => prepared.with_effect(
            "the API node becomes not-ready, keeps serving for a short time, then flushes its buffer",
        ),
    };
    if known.is_gone {
        let why = format!(
            "{node} is stopped or sends no heartbeats: it cannot be drained, and its messages are redelivered to other nodes automatically"
        );
        prepared = prepared.refuse(why, false);
    }
    if others == 0 {
        let (role, then) = match known.role {
            Role::Worker => ("worker", "no ride is stored until another one is up"),
            Role::Api => ("API node", "no ride is accepted until another one is up"),
        };
        prepared = prepared
            .with_effect(format!("last working {role}: {then}"))
            .severe(node);
    }
    let mut after = changed(&document);
    // Drains of earlier boots are obsolete.
    after.drains.retain(|mark| mark.node != known.node);
    after.drains.push(DrainRequest {
        node: known.node.clone(),
        boot_id: known.boot,
        plan: plan.to_owned(),
        expires_at_ms: None,
    });
    prepared.mutation.document = Some(after);
    Ok(prepared)
}

/// Lets a drained node resume work.
pub(super) fn undrain(console: &Arc<Console>, node: &str) -> Result<PlannedChange, Error> {
    let document = console.desired.document();
    let marks: Vec<&DrainRequest> = document
        .drains
        .iter()
        .filter(|mark| mark.node.as_str() == node)
        .collect();
    let basis = format!("undrain {node} {marks:?}");
    if marks.is_empty() {
        find(&console.roster.nodes(), node)?;
        return Ok(PlannedChange::already(basis));
    }
    let mut prepared = PlannedChange::new(basis).with_action(
        "undrain",
        node,
        Some("draining or drained".to_owned()),
        Some("working".to_owned()),
    );
    let mut after = changed(&document);
    after.drains.retain(|mark| mark.node.as_str() != node);
    prepared.mutation.document = Some(after);
    Ok(prepared)
}

/// Forgets a node that is gone for good.
pub(super) fn forget(console: &Arc<Console>, node: &str) -> Result<PlannedChange, Error> {
    let nodes = console.roster.nodes();
    let known = find(&nodes, node)?;
    let basis = format!("forget {node} {} {}", known.boot, known.is_gone);
    let mut prepared = PlannedChange::new(basis)
        .with_action(
            "forget",
            node,
            Some(known.state.to_string()),
            Some("not listed".to_owned()),
        )
        .with_effect("it is listed again when it sends a heartbeat");
    if !known.is_gone {
        let why = format!(
            "{node} sends heartbeats: only a node that is stopped or lost can be forgotten"
        );
        return Ok(prepared.refuse(why, false));
    }
    let table = &console.state.forgotten_nodes;
    let changes = &mut prepared.mutation.changes;
    table.put(changes, node.as_bytes(), &known.boot);
    Ok(prepared)
}

fn find<'a>(nodes: &'a [KnownNode], node: &str) -> Result<&'a KnownNode, Error> {
    let found = nodes.iter().find(|known| known.node.as_str() == node);
    found.ok_or_else(|| {
        Error::not_found(format!(
            "node {node:?} is unknown: no heartbeat received; see `skictl nodes`"
        ))
    })
}

fn is_of(mark: &DrainRequest, node: &KnownNode) -> bool {
    mark.node == node.node && mark.boot_id == node.boot
}
