//! More instances than fit on a page, or in a call.

use std::collections::BTreeSet;
use std::time::Duration;

use skilift_fleet::Fleet as _;
use skilift_fleet::FleetKind;
use skilift_fleet::outcome::{OutcomeCode, Verb};
use skilift_servers::{Ec2Action, Ec2Fault, Ec2Instance, Ec2State};

use crate::{Wire, at_once, codes, id, ids, worker};

/// Machines of the stack, among as many again of others.
const OURS: u32 = 2_500;

#[tokio::test]
async fn many_are_listed_and_started() {
    at_once!(
        all_pages_are_read_and_only_the_stack_is_listed,
        a_page_that_fails_is_no_shorter_list,
        what_is_listed_is_as_it_is_described,
        many_go_in_several_calls,
    );
}

/// Every other one is of the stack, so that pages are half empty after they are filtered.
async fn many() -> Wire {
    Wire::with((0..2 * OURS).map(|number| {
        let stack = ["alps", "jura"][number as usize % 2];
        worker(number, Ec2State::Stopped).tag("skilift:stack", stack)
    }))
    .await
}

async fn all_pages_are_read_and_only_the_stack_is_listed() {
    let wire = many().await;
    let listed = wire.fleet.list().await.unwrap();
    let expected: Vec<_> = (0..OURS).map(|number| id(2 * number)).collect();
    let listed: Vec<_> = listed.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(listed, expected);
    let calls = wire.ec2.calls();
    assert_eq!(calls.len(), 5, "pages of a thousand");
    for (number, call) in calls.iter().enumerate() {
        assert_eq!(call.parameters["MaxResults"], "1000");
        assert_eq!(call.parameters.contains_key("NextToken"), number > 0);
    }
}

async fn a_page_that_fails_is_no_shorter_list() {
    let look = Ec2Action::DescribeInstances;
    for (fault, expected) in [
        (Ec2Fault::cut_before(look), OutcomeCode::Unreachable),
        (Ec2Fault::cut_after(look), OutcomeCode::Unreachable),
        (Ec2Fault::not_xml(look, 200), OutcomeCode::Unreachable),
        (
            Ec2Fault::error(look, "RequestLimitExceeded"),
            OutcomeCode::Throttled,
        ),
    ] {
        let wire = many().await;
        wire.ec2
            .inject(Ec2Fault::delay(look, Duration::ZERO).times(2));
        wire.ec2.inject(fault.times(8));
        let failed = wire.fleet.list().await.unwrap_err();
        assert_eq!(failed.code, expected, "{failed}");
        wire.ec2.clear_faults();
        assert_eq!(wire.fleet.list().await.unwrap().len(), OURS as usize);
    }
}

async fn what_is_listed_is_as_it_is_described() {
    let gate = Ec2Instance {
        instance_type: "m7g.xlarge".to_owned(),
        zone: "eu-central-1b".to_owned(),
        ..worker(1, Ec2State::Running)
            .tag("skilift:role", "api")
            .tag("Name", "<Hut & Lift>")
    };
    let broker = worker(2, Ec2State::Running).tag("skilift:role", "broker");
    let wire = Wire::with([
        worker(4, Ec2State::Stopped),
        worker(3, Ec2State::Stopping),
        gate,
        broker,
        worker(5, Ec2State::Terminated),
        worker(6, Ec2State::ShuttingDown),
    ])
    .await;
    let region = |of: FleetKind| match of {
        FleetKind::Ec2 { region } => region,
        FleetKind::Local => None,
    };
    assert_eq!(region(wire.fleet.kind()), None);
    let listed = wire.fleet.list().await.unwrap();
    assert_eq!(region(wire.fleet.kind()).as_deref(), Some("eu-central-1"));
    let order: Vec<_> = listed.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(order, ids([1, 2, 3, 4]), "by role, and none that is gone");
    let gate = &listed[0];
    assert_eq!(
        (gate.role.as_str(), gate.name.as_deref()),
        ("api", Some("<Hut & Lift>"))
    );
    assert_eq!(
        (gate.instance_type.as_str(), gate.zone.as_str()),
        ("m7g.xlarge", "eu-central-1b")
    );
    assert_eq!(gate.state.to_string(), "running");
    assert_eq!(gate.address.as_deref(), Some("10.0.0.3"));
    assert!(gate.started_at_ms > Some(1_600_000_000_000));
    assert!(gate.is_scaled() && !gate.is_spot && gate.obstacle.is_none());
    assert!(!listed[1].is_scaled());
    assert_eq!(listed[2].state.to_string(), "stopping");

    wire.ask(Verb::Start, &ids([4])).await;
    wire.ask(Verb::Stop, &ids([4])).await;
    let listed = wire.fleet.list().await.unwrap();
    let reason = listed[3].reason.as_ref().unwrap();
    assert_eq!(reason.code, "Client.UserInitiatedShutdown");
}

async fn many_go_in_several_calls() {
    let wire = Wire::with((0..230).map(|number| Ec2Instance {
        zone: ["eu-central-1a", "eu-central-1b"][number as usize % 2].to_owned(),
        ..worker(number, Ec2State::Stopped)
    }))
    .await;
    for verb in [Verb::Start, Verb::Stop] {
        let before = wire.changes().len();
        let outcomes = wire.ask(verb, &ids(0..230)).await;
        assert_eq!(codes(&outcomes), [OutcomeCode::Done; 230]);
        let calls = wire.changes().split_off(before);
        assert!(calls.iter().all(|call| call.ids.len() <= 50));
        let changed: BTreeSet<_> = calls.iter().flat_map(|call| &call.changed).collect();
        assert_eq!(changed.len(), 230);
    }
}
