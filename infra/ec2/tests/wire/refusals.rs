//! What EC2 refuses for good, and what is not even asked of it.

use std::time::Duration;

use skilift_fleet::Fleet as _;
use skilift_fleet::instance::{InstanceId, Obstacle};
use skilift_fleet::outcome::{OutcomeCode, Verb};
use skilift_servers::{Ec2Action, Ec2Fault, Ec2Instance, Ec2Spot, Ec2State, Ec2Timings};

use crate::{Wire, action, at_once, change, codes, id, ids, ready_for, worker};

#[tokio::test]
async fn each_refusal_has_its_outcome() {
    at_once!(
        a_dry_run_that_would_succeed_is_an_error_that_means_yes,
        a_dry_run_that_is_refused_says_so,
        who_may_not_is_told_what_he_lacks,
        who_may_not_look_is_told_so,
        who_may_not_read_the_checks_has_his_machine_all_the_same,
        who_is_not_known_is_told_so_once,
        stop_protection_stays,
        limits_of_the_account_are_final,
        one_time_spot_instances_are_left_alone,
        who_may_not_read_spot_requests_hears_it_from_ec2,
        persistent_spot_instances_are_started_once_their_request_has_noticed,
        a_spot_request_that_never_settles_is_given_up,
        what_cannot_be_stopped_and_started_is_left_alone,
        one_bad_id_in_ten_does_not_sink_the_others,
    );
}

async fn a_dry_run_that_would_succeed_is_an_error_that_means_yes() {
    let wire = Wire::with([worker(1, Ec2State::Running), worker(2, Ec2State::Stopped)]).await;
    let both = [1, 2].map(|number| InstanceId::new(id(number)));
    assert_eq!(wire.fleet.preflight(Verb::Start, &both).await, Ok(()));
    assert_eq!(wire.fleet.preflight(Verb::Stop, &both).await, Ok(()));
    let calls = wire.ec2.calls();
    assert_eq!(calls.len(), 2);
    assert!(
        calls
            .iter()
            .all(|call| call.dry_run && call.changed.is_empty())
    );
}

async fn a_dry_run_that_is_refused_says_so() {
    let wire = Wire::with([worker(1, Ec2State::Running)]).await;
    let known = [InstanceId::new(id(1))];
    for verb in [Verb::Start, Verb::Stop] {
        for code in ["UnauthorizedOperation", "AccessDenied"] {
            wire.ec2.inject(Ec2Fault::error(change(verb), code));
            let refusal = wire.fleet.preflight(verb, &known).await.unwrap_err();
            assert_eq!(refusal.code, OutcomeCode::Denied);
            let lacks = format!("ec2:{}", action(verb));
            assert!(refusal.message.contains(&lacks), "{refusal}");
        }
    }
    wire.ec2
        .inject(Ec2Fault::cut_before(Ec2Action::StopInstances));
    let nobody = wire.fleet.preflight(Verb::Stop, &known).await.unwrap_err();
    assert_eq!(nobody.code, OutcomeCode::Unreachable);
    let unknown = [InstanceId::new(id(99))];
    let unknown = wire.fleet.preflight(Verb::Stop, &unknown).await;
    assert_eq!(unknown.unwrap_err().code, OutcomeCode::NotFound);
    assert!(wire.changes().is_empty());
}

async fn who_may_not_is_told_what_he_lacks() {
    for verb in [Verb::Start, Verb::Stop] {
        for code in ["UnauthorizedOperation", "AccessDenied"] {
            let wire = Wire::with([ready_for(verb)]).await;
            wire.ec2
                .inject(Ec2Fault::error(change(verb), code).always());
            let outcome = wire.ask_one(verb).await;
            assert_eq!(
                (outcome.code, wire.changes().len()),
                (OutcomeCode::Denied, 1)
            );
            let lacks = format!("ec2:{}", action(verb));
            assert!(
                outcome.message.contains(&lacks) && outcome.message.contains(code),
                "{outcome:?}"
            );
        }
    }
}

async fn who_may_not_look_is_told_so() {
    for code in ["UnauthorizedOperation", "AccessDenied"] {
        let wire = Wire::with([worker(1, Ec2State::Running)]).await;
        wire.ec2
            .inject(Ec2Fault::error(Ec2Action::DescribeInstances, code).always());
        let outcome = wire.ask_one(Verb::Stop).await;
        assert_eq!(outcome.code, OutcomeCode::Denied);
        let lacks = "ec2:DescribeInstances";
        assert!(outcome.message.contains(lacks), "{outcome:?}");
        assert_eq!(wire.ec2.calls().len(), 1);
        let refusal = wire.fleet.list().await.unwrap_err();
        assert_eq!(refusal.code, OutcomeCode::Denied);
        assert!(refusal.message.contains(lacks), "{refusal}");
    }
}

async fn who_may_not_read_the_checks_has_his_machine_all_the_same() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    let denied = Ec2Fault::error(Ec2Action::DescribeInstanceStatus, "UnauthorizedOperation");
    wire.ec2.inject(denied.always());
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!(outcome.code, OutcomeCode::Done);
    assert!(
        outcome.message.contains("ec2:DescribeInstanceStatus"),
        "{outcome:?}"
    );
}

async fn who_is_not_known_is_told_so_once() {
    for code in ["AuthFailure", "ExpiredToken", "RequestExpired"] {
        let wire = Wire::with((1..=3).map(|number| worker(number, Ec2State::Stopped))).await;
        wire.ec2
            .inject(Ec2Fault::error(Ec2Action::StartInstances, code).always());
        let outcomes = wire.ask(Verb::Start, &ids([1, 2, 3])).await;
        assert_eq!(codes(&outcomes), [OutcomeCode::Credentials; 3]);
        assert_eq!(wire.changes().len(), 1, "the next id has no better keys");
        assert!(outcomes[0].message.contains("clock"), "{outcomes:?}");
        wire.ec2
            .inject(Ec2Fault::error(Ec2Action::DescribeInstances, code));
        let refusal = wire.fleet.list().await.unwrap_err();
        assert_eq!(refusal.code, OutcomeCode::Credentials);
    }
}

async fn stop_protection_stays() {
    let wire = Wire::with((1..=6).map(|number| Ec2Instance {
        stop_protected: number == 4,
        ..worker(number, Ec2State::Running)
    }))
    .await;
    let outcomes = wire.ask(Verb::Stop, &ids(1..=6)).await;
    for (outcome, number) in outcomes.iter().zip(1..) {
        let (code, state) = if number == 4 {
            (OutcomeCode::Protected, Ec2State::Running)
        } else {
            (OutcomeCode::Done, Ec2State::Stopped)
        };
        assert_eq!((outcome.code, wire.state(number)), (code, state));
    }
    assert!(wire.ec2.instance(&id(4)).unwrap().stop_protected);
}

async fn limits_of_the_account_are_final() {
    for code in ["InstanceLimitExceeded", "VcpuLimitExceeded"] {
        let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
        wire.ec2
            .inject(Ec2Fault::error(Ec2Action::StartInstances, code).always());
        let outcome = wire.ask_one(Verb::Start).await;
        assert_eq!(
            (outcome.code, wire.changes().len()),
            (OutcomeCode::Quota, 1)
        );
    }
}

fn spot(number: u32, kind: Ec2Spot, state: Ec2State) -> Ec2Instance {
    Ec2Instance {
        spot: Some(kind),
        ..worker(number, state)
    }
}

async fn one_time_spot_instances_are_left_alone() {
    let wire = Wire::with([
        spot(1, Ec2Spot::OneTime, Ec2State::Running),
        spot(2, Ec2Spot::Persistent, Ec2State::Running),
    ])
    .await;
    let obstacles: Vec<_> = wire.fleet.list().await.unwrap();
    let obstacles = obstacles.into_iter().map(|it| (it.is_spot, it.obstacle));
    assert_eq!(
        obstacles.collect::<Vec<_>>(),
        [(true, Some(Obstacle::OneTimeSpot)), (true, None)]
    );
    let outcomes = wire.ask(Verb::Stop, &ids([1, 2])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Obstacle, OutcomeCode::Done]);
    let named = wire.changes().into_iter().flat_map(|call| call.ids);
    assert_eq!(named.collect::<Vec<_>>(), ids([2]));
}

async fn who_may_not_read_spot_requests_hears_it_from_ec2() {
    let wire = Wire::with([
        spot(1, Ec2Spot::OneTime, Ec2State::Running),
        spot(2, Ec2Spot::Persistent, Ec2State::Running),
    ])
    .await;
    let denied = Ec2Fault::error(
        Ec2Action::DescribeSpotInstanceRequests,
        "UnauthorizedOperation",
    );
    wire.ec2.inject(denied.always());
    let outcomes = wire.ask(Verb::Stop, &ids([1, 2])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Refused, OutcomeCode::Done]);
    assert!(
        outcomes[0].message.contains("one-time Spot Instance"),
        "{outcomes:?}"
    );
}

async fn persistent_spot_instances_are_started_once_their_request_has_noticed() {
    let timings = Ec2Timings {
        spot_settling: Duration::from_secs(4),
        ..Ec2Timings::default()
    };
    let wire = Wire::timed(timings, [spot(1, Ec2Spot::Persistent, Ec2State::Running)]).await;
    assert_eq!(wire.ask_one(Verb::Stop).await.code, OutcomeCode::Done);
    assert_eq!(wire.ask_one(Verb::Start).await.code, OutcomeCode::Done);
    assert_eq!(wire.state(1), Ec2State::Running);
    assert!(wire.changes().len() > 2, "the first start came too early");
}

async fn a_spot_request_that_never_settles_is_given_up() {
    let wire = Wire::with([spot(1, Ec2Spot::Persistent, Ec2State::Stopped)]).await;
    let unsettled = Ec2Fault::error(Ec2Action::StartInstances, "IncorrectSpotRequestState");
    wire.ec2.inject(unsettled.always());
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!(
        (outcome.code, wire.changes().len()),
        (OutcomeCode::Refused, 5)
    );
}

async fn what_cannot_be_stopped_and_started_is_left_alone() {
    let member = |number, state| {
        let group = "aws:autoscaling:groupName";
        worker(number, state).tag(group, "gates")
    };
    let wire = Wire::with([
        member(1, Ec2State::Running),
        member(2, Ec2State::Stopped),
        Ec2Instance {
            instance_store: true,
            ..worker(3, Ec2State::Running)
        },
        spot(4, Ec2Spot::Interrupted, Ec2State::Stopped),
    ])
    .await;
    let stops = wire.ask(Verb::Stop, &ids([1, 3])).await;
    let starts = wire.ask(Verb::Start, &ids([2, 4])).await;
    let says = [
        "Auto Scaling group gates",
        "instance store",
        "Auto Scaling group gates",
        "EC2 interrupted this Spot instance",
    ];
    for (outcome, says) in stops.iter().chain(&starts).zip(says) {
        assert_eq!(outcome.code, OutcomeCode::Obstacle);
        assert!(outcome.message.contains(says), "{outcome:?}");
    }
    assert!(wire.changes().is_empty());
}

async fn one_bad_id_in_ten_does_not_sink_the_others() {
    for verb in [Verb::Start, Verb::Stop] {
        let from = ready_for(verb).state;
        let wire = Wire::with((1..=10).map(|number| worker(number, from))).await;
        let bad = Ec2Fault::error(change(verb), "UnsupportedOperation");
        wire.ec2.inject(bad.on(&id(7)).always());
        let outcomes = wire.ask(verb, &ids(1..=10)).await;
        for (outcome, number) in outcomes.iter().zip(1..) {
            let expected = if number == 7 {
                OutcomeCode::Refused
            } else {
                OutcomeCode::Done
            };
            assert_eq!(outcome.code, expected, "{outcome:?}");
        }
        // Ten, two fives, two and three, one and two: no more than a bisection.
        let calls = wire.changes();
        assert!(calls.len() <= 9, "{}", calls.len());
        let changed = calls.iter().map(|call| call.changed.len()).sum::<usize>();
        assert_eq!(changed, 9);
    }
}
