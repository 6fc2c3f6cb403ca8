//! Roles with no node, with one, and with many.

use super::*;
use crate::view::Reading;
use crate::view::nodes::sample;

fn node(role: &str, number: usize, state: NodeState) -> NodeView {
    NodeView {
        state,
        ..sample(role, &format!("{role}-{number:03}"))
    }
}

fn nodes(role: &str, count: usize) -> Vec<NodeView> {
    let numbers = 0..count;
    numbers
        .map(|number| node(role, number, NodeState::Ready))
        .collect()
}

fn totals(group: &Group) -> [&str; 6] {
    let totals = &group.totals;
    [
        &totals.nodes,
        &totals.rides,
        &totals.outstanding,
        &totals.threads,
        &totals.cores,
        &totals.memory,
    ]
    .map(String::as_str)
}

#[test]
fn a_role_without_nodes_has_no_figures() {
    let listing = Listing::new(&[], NodeFilter::default(), 1);
    let roles: Vec<&str> = listing.groups.iter().map(|group| group.role).collect();
    assert_eq!(roles, ["api", "worker", "console"]);
    assert_eq!(
        totals(&listing.groups[1]),
        ["0 nodes", "–", "–", "0 threads", "–", "–"]
    );
    assert!(listing.groups[0].rows.is_empty());
    assert_eq!(listing.range, "");
    let lost = NodeFilter {
        role: None,
        state: Some("lost"),
    };
    assert!(Listing::new(&[], lost, 1).groups.is_empty());
}

#[test]
fn totals_are_sums_of_the_nodes_that_work() {
    let mut all = nodes("worker", 3);
    all[2].state = NodeState::Lost;
    all[1].cpu_cores = Reading::unknown("only one heartbeat received so far");
    let listing = Listing::new(&all, NodeFilter::default(), 1);
    assert_eq!(
        totals(&listing.groups[1]),
        [
            "3 nodes, 2 ready",
            "2,000",
            "6 unacked",
            "8 threads",
            "≥ 0.50",
            "2.00 MiB"
        ]
    );
    assert_eq!(listing.groups[1].rows.len(), 3);
    let one = Listing::new(&nodes("api", 1), NodeFilter::default(), 1);
    assert_eq!(
        totals(&one.groups[0])[..4],
        ["1 node, 1 ready", "1,000", "5 in flight", "4 channels"]
    );
}

#[test]
fn many_nodes_are_listed_in_pages_and_summed_over_all() {
    let mut all = nodes("api", 60);
    all.extend(nodes("worker", 140));
    let second = Listing::new(&all, NodeFilter::default(), 2);
    let rows: Vec<usize> = second.groups.iter().map(|group| group.rows.len()).collect();
    assert_eq!(rows, [10, 40, 1]);
    assert_eq!(totals(&second.groups[1])[0], "140 nodes, 140 ready");
    assert_eq!(second.range, "Nodes 51 to 100 of 200.");
    assert_eq!(second.previous.as_deref(), Some("/nodes"));
    assert_eq!(second.next.as_deref(), Some("/nodes?page=3"));
    let workers = NodeFilter {
        role: Some("worker"),
        state: None,
    };
    // There are three pages of workers.
    let last = Listing::new(&all, workers, 9);
    assert_eq!(last.range, "Nodes 101 to 140 of 140.");
    assert_eq!(last.groups.len(), 1);
    assert_eq!(last.next, None);
    assert_eq!(last.previous.as_deref(), Some("/nodes?role=worker&page=2"));
}
