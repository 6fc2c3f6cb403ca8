//! Cost of the instances, and per million stored rides.

use std::collections::BTreeMap;

use skilift_core::clock::epoch_ms;
use skilift_fleet::instance::Instance;

use super::{prices::Prices, region};
use crate::console::Console;
use crate::view::Reading;
use crate::view::cost::{CostView, RoleCostView};

/// Seconds in an hour.
const S_PER_H: f64 = 3600.0;
/// Roles of the RabbitMQ and Redis instances.
const BROKER: &str = "broker";
const REDIS: &str = "redis";

/// The view for operators.
pub(crate) fn view(console: &Console) -> CostView {
    let listed = console.machines.listed();
    let age_ms = listed.age_ms();
    let region = region(console);
    let prices = &console.config.prices;
    let mut by_role: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in listed.instances.iter().filter(|of| of.state.is_up()) {
        by_role.entry(&instance.role).or_default().push(instance);
    }
    let of_role = |(role, instances): (&&str, &Vec<&Instance>)| RoleCostView {
        role: (*role).to_owned(),
        running: instances.len() as u64,
        usd_per_h: usd_per_h(prices, region.as_deref(), instances, age_ms),
    };
    let roles: Vec<RoleCostView> = by_role.iter().map(of_role).collect();
    let all: Vec<&Instance> = by_role.values().flatten().copied().collect();
    let total = match console.machines.unknown() {
        Some(why) if all.is_empty() => Reading::unknown(why),
        _ if all.is_empty() => Reading::unknown("this console knows no running instance"),
        _ => usd_per_h(prices, region.as_deref(), &all, age_ms),
    };
    let latest = console.monitor.latest();
    let stored_per_s = latest.map_or_else(
        || Reading::unknown("the console has just started"),
        |seen| seen.queue.rates.ack_per_s.clone(),
    );
    let has = |role: &str| by_role.contains_key(role);
    let (has_broker, has_redis) = (has(BROKER), has(REDIS));
    CostView {
        at_ms: epoch_ms(),
        prices: prices.view(),
        usd_per_million_stored: per_million(&total, &stored_per_s),
        // If instances were never listed, the cost reading has the reason.
        notes: notes(
            has_broker,
            has_redis,
            &total,
            console.machines.unknown().filter(|_| age_ms.is_some()),
        ),
        roles,
        usd_per_h: total,
        stored_per_s,
        has_broker: age_ms.map(|_| has_broker),
        has_redis: age_ms.map(|_| has_redis),
    }
}

/// Total cost of instances, in USD per hour. If some prices are unknown, this is a lower bound.
pub(crate) fn usd_per_h(
    prices: &Prices,
    region: Option<&str>,
    instances: &[&Instance],
    age_ms: Option<u64>,
) -> Reading<f64> {
    let (mut sum, mut is_known, mut unknown) = (0.0, instances.is_empty(), None);
    for instance in instances {
        match prices.of(instance, region) {
            Ok(price) => {
                sum += price;
                is_known = true;
            }
            Err(why) => unknown = Some(format!("{}: {why}", instance.id)),
        }
    }
    match unknown {
        None => Reading::of(sum, age_ms.unwrap_or(0)),
        Some(why) => Reading::at_least(is_known.then_some(sum), age_ms, &why),
    }
}

/// USD per million stored rides: cost per hour divided by rides stored per hour.
fn per_million(usd_per_h: &Reading<f64>, stored_per_s: &Reading<f64>) -> Reading<f64> {
    match (usd_per_h.value, stored_per_s.value) {
        (None, _) => Reading::unknown("the cost of the instances is unknown"),
        (_, None) => Reading::unknown("the rate of stored rides is unknown"),
        (_, Some(stored)) if stored <= 0.0 => Reading::unknown("no rides are being stored"),
        (Some(usd), Some(stored)) => Reading {
            value: Some(usd / (stored * S_PER_H) * 1e6),
            age_ms: usd_per_h.age_ms.max(stored_per_s.age_ms),
            is_upper_bound: false,
            error: usd_per_h.error.clone(),
        },
    }
}

fn notes(
    has_broker: bool,
    has_redis: bool,
    total: &Reading<f64>,
    unlisted: Option<String>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(why) = unlisted {
        notes.push(format!("the list of instances is stale: {why}"));
    }
    if total.value.is_some() {
        let left_out = match (has_broker, has_redis) {
            (true, true) => None,
            (true, false) => Some("Redis is not included"),
            (false, true) => Some("RabbitMQ is not included"),
            (false, false) => Some("RabbitMQ and Redis are not included"),
        };
        if let Some(left_out) = left_out {
            notes.push(format!(
                "{left_out}: no running instance with the stack's tags has that role"
            ));
        }
        notes.push(
            "disks, addresses, traffic and the load balancer are not included; each start is billed for at least one minute"
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_rides_cost_what_the_hours_do_that_store_them() {
        // 10,000 rides a second are 36 million an hour.
        let cost = per_million(&Reading::of(0.36, 100), &Reading::of(10_000.0, 700));
        assert!((cost.value.unwrap() - 0.01).abs() < 1e-12, "{cost:?}");
        assert_eq!(cost.age_ms, Some(700));
        let idle = per_million(&Reading::of(0.36, 100), &Reading::of(0.0, 700));
        assert_eq!(idle.error.as_deref(), Some("no rides are being stored"));
        let unpriced = per_million(&Reading::unknown("x"), &Reading::of(1.0, 0));
        assert!(unpriced.value.is_none());
    }
}
