//! The Spot requests of a region's instances.

use std::time::Instant;

use serde::Serialize;

use super::answer::{Items, response};
use super::instance::{Ec2Instance, Ec2Spot, Ec2State};
use super::query::{Filter, Query};
use super::refusal::Refusal;
use super::region::Region;

/// A request, and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    spot_instance_request_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    state: &'static str,
    instance_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    spot_instance_request_set: Items<Request>,
}

/// The id of the request of an instance.
pub(super) fn request_id(number: u32) -> String {
    format!("sir-{number:08x}")
}

/// The requests that pass the filters, of which it knows `instance-id` and `type`.
pub(super) fn describe(
    region: &Region,
    query: &Query,
    now: Instant,
) -> Result<Vec<Request>, Refusal> {
    let filters = query.filters();
    let is_known = |filter: &&Filter| ["instance-id", "type"].contains(&filter.name.as_str());
    if let Some(Filter { name, .. }) = filters.iter().find(|filter| !is_known(filter)) {
        return Err(Refusal::new(
            "InvalidParameterValue",
            format!("The filter '{name}' is invalid"),
        ));
    }
    let requests = region.machines.values().filter_map(|machine| {
        let state = machine.at(now).state;
        request(&machine.facts, machine.number, state)
    });
    Ok(requests
        .filter(|request| filters.iter().all(|filter| passes(request, filter)))
        .collect())
}

fn request(facts: &Ec2Instance, number: u32, state: Ec2State) -> Option<Request> {
    Some(Request {
        spot_instance_request_id: request_id(number),
        kind: match facts.spot? {
            Ec2Spot::OneTime => "one-time",
            Ec2Spot::Persistent | Ec2Spot::Interrupted => "persistent",
        },
        state: match state {
            Ec2State::Pending | Ec2State::Running => "active",
            Ec2State::Stopping | Ec2State::Stopped => "disabled",
            Ec2State::ShuttingDown | Ec2State::Terminated => "closed",
        },
        instance_id: facts.id.clone(),
    })
}

fn passes(request: &Request, filter: &Filter) -> bool {
    let value = match filter.name.as_str() {
        "type" => request.kind,
        _ => &request.instance_id,
    };
    filter.values.iter().any(|wanted| wanted == value)
}

/// The answer to `DescribeSpotInstanceRequests`.
pub(super) fn answer(requests: &[Request], request_id: &str) -> String {
    let content = Described {
        spot_instance_request_set: requests.iter().cloned().collect(),
    };
    response("DescribeSpotInstanceRequests", request_id, content)
}
