//! What nodes are told to do for a while: pause, and drain.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{Document, DrainMark, Pause, Role};

use super::prepared::Prepared;
use crate::admin::ApiError;
use crate::console::Console;
use crate::roster::KnownNode;

/// Stop consuming.
pub(super) fn pause(console: &Arc<Console>, by: &str) -> Result<Prepared, ApiError> {
    let document = console.desired.document();
    let basis = pause_basis(&document);
    if document.pause.is_some() {
        return Ok(Prepared::already(basis));
    }
    let mut prepared = Prepared::new(basis)
        .act("pause consumption", "every worker", Some("consuming".to_owned()), Some("paused".to_owned()))
        .effect("rides are accepted and wait in the queue: the backlog grows until somebody resumes, or its bound refuses rides");
    let mut after = changed(&document);
    after.pause = Some(Pause {
        since_ms: epoch_ms(),
        by: by.to_owned(),
    });
    prepared.effect.document = Some(after);
    Ok(prepared)
}

/// Consume again.
pub(super) fn resume(console: &Arc<Console>) -> Result<Prepared, ApiError> {
    let document = console.desired.document();
    let basis = pause_basis(&document);
    if document.pause.is_none() {
        return Ok(Prepared::already(basis));
    }
    let mut prepared = Prepared::new(basis).act(
        "resume consumption",
        "every worker",
        Some("paused".to_owned()),
        Some("consuming".to_owned()),
    );
    let mut after = changed(&document);
    after.pause = None;
    prepared.effect.document = Some(after);
    Ok(prepared)
}

fn pause_basis(document: &Document) -> String {
    format!("pause {:?}", document.pause)
}

/// The document as the next one.
fn changed(document: &Document) -> Document {
    Document {
        serial: document.next_serial(),
        ..document.clone()
    }
}

/// Let a node finish what it has and take no more.
pub(super) fn drain(console: &Arc<Console>, node: &str, plan: &str) -> Result<Prepared, ApiError> {
    let document = console.desired.document();
    let nodes = console.roster.nodes();
    let known = find(&nodes, node)?;
    let is_marked = document.drains.iter().any(|mark| is_of(mark, known));
    let others = nodes
        .iter()
        .filter(|other| other.role == known.role && other.works && other.node != known.node)
        // Who was told to drain a moment ago may not have said yet that he does.
        .filter(|other| !document.drains.iter().any(|mark| is_of(mark, other)))
        .count();
    let basis = format!(
        "drain {node} {} {is_marked} {} {}",
        known.boot,
        known.is_gone,
        others == 0
    );
    if is_marked {
        return Ok(Prepared::already(basis));
    }
    let mut prepared = Prepared::new(basis).act(
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
            prepared.effect("it finishes and acknowledges what it has, and takes no more messages")
        }
        Role::Api => prepared.effect(
            "it says that it is not ready, goes on answering for a while, and sends what it has",
        ),
    };
    if known.is_gone {
        let why = format!(
            "{node} has ended or is not heard: it cannot be told to drain, and its work goes to others by itself"
        );
        prepared = prepared.refuse(why, false);
    }
    if others == 0 {
        let role = known.role;
        let then = match role {
            Role::Worker => "no ride is stored until another one works",
            Role::Api => "no ride is accepted until another one works",
        };
        prepared = prepared
            .effect(format!("it is the last {role} that works: {then}"))
            .severe(node);
    }
    let mut after = changed(&document);
    // Marks of earlier lives say nothing any more.
    after.drains.retain(|mark| mark.node != known.node);
    after.drains.push(DrainMark {
        node: known.node.clone(),
        boot: known.boot,
        plan: plan.to_owned(),
        until_ms: None,
    });
    prepared.effect.document = Some(after);
    Ok(prepared)
}

/// Let a drained node work again.
pub(super) fn undrain(console: &Arc<Console>, node: &str) -> Result<Prepared, ApiError> {
    let document = console.desired.document();
    let marks: Vec<&DrainMark> = document
        .drains
        .iter()
        .filter(|mark| mark.node.as_str() == node)
        .collect();
    let basis = format!("undrain {node} {marks:?}");
    if marks.is_empty() {
        find(&console.roster.nodes(), node)?;
        return Ok(Prepared::already(basis));
    }
    let mut prepared = Prepared::new(basis).act(
        "undrain",
        node,
        Some("draining or drained".to_owned()),
        Some("working".to_owned()),
    );
    let mut after = changed(&document);
    after.drains.retain(|mark| mark.node.as_str() != node);
    prepared.effect.document = Some(after);
    Ok(prepared)
}

fn find<'a>(nodes: &'a [KnownNode], node: &str) -> Result<&'a KnownNode, ApiError> {
    let found = nodes.iter().find(|known| known.node.as_str() == node);
    found.ok_or_else(|| {
        ApiError::not_found(format!("no node {node:?} was heard; see `skictl nodes`"))
    })
}

fn is_of(mark: &DrainMark, node: &KnownNode) -> bool {
    mark.node == node.node && mark.boot == node.boot
}
