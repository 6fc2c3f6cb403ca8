//! Every row of what EC2 does and refuses.

use std::time::Duration;

use tokio::time::Instant;

use super::super::call::CallError;
use super::super::pace::Pace;
use super::super::scripted::{Machine, Scripted, Turn};
use super::super::{list, preflight};
use super::{all, ask, codes};
use skilift_fleet::instance::{InstanceId, InstanceState, Obstacle};
use skilift_fleet::outcome::{Outcome, OutcomeCode, Verb};

/// One machine, and what comes of it.
async fn one(verb: Verb, machine: Machine) -> (Outcome, Scripted) {
    let ec2 = Scripted::new([machine]);
    let outcome = ask(&ec2, verb, &all(&ec2), 1).await.remove(0);
    (outcome, ec2)
}

fn stopped() -> Machine {
    Machine::new(1, InstanceState::Stopped)
}

fn running() -> Machine {
    Machine::new(1, InstanceState::Running)
}

fn calls(ec2: &Scripted) -> usize {
    ec2.with(|world| world.calls.len())
}

/// What comes of a start for which every call gets this error.
async fn always(verb: Verb, code: &'static str) -> (Outcome, usize) {
    let mut machine = match verb {
        Verb::Start => stopped(),
        Verb::Stop => running(),
    };
    machine.refusals = (code, u32::MAX);
    let (outcome, ec2) = one(verb, machine).await;
    (outcome, calls(&ec2))
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_not_called_for() {
    for (verb, machine) in [(Verb::Start, running()), (Verb::Stop, stopped())] {
        let began = Instant::now();
        let (outcome, ec2) = one(verb, machine).await;
        assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Already, 0));
        assert_eq!(began.elapsed(), Duration::ZERO, "nothing is waited for");
    }
    // Also where nothing could be changed of it.
    let group = Obstacle::AutoScaling {
        group: "gates".to_owned(),
    };
    let (outcome, _) = one(Verb::Start, running().with_obstacle(group)).await;
    assert_eq!(outcome.code, OutcomeCode::Already);
}

#[tokio::test(start_paused = true)]
async fn a_start_is_done_when_the_checks_have_passed() {
    let began = Instant::now();
    let (outcome, ec2) = one(Verb::Start, stopped()).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 1));
    let took = began.elapsed();
    // 8 s until it runs, 30 s of checks, and looks that come ever more seldom while nothing happens.
    assert!(
        (Duration::from_secs(38)..Duration::from_secs(38 + 4 * 15)).contains(&took),
        "{took:?}"
    );
    let mut ill = stopped();
    ill.checks_for = None;
    let (outcome, _) = one(Verb::Start, ill).await;
    assert_eq!(outcome.code, OutcomeCode::TimedOut);
    assert!(
        outcome.message.contains("its EC2 status checks fail"),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_is_waited_for() {
    let stopping = Machine::new(1, InstanceState::Stopping).on_its_way(InstanceState::Stopped);
    let (outcome, ec2) = one(Verb::Start, stopping).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 1));

    let pending = Machine::new(1, InstanceState::Pending).on_its_way(InstanceState::Running);
    let (outcome, ec2) = one(Verb::Stop, pending).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 1));

    let pending = Machine::new(1, InstanceState::Pending).on_its_way(InstanceState::Running);
    let (outcome, ec2) = one(Verb::Start, pending).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Already, 0));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_changed_meanwhile_is_looked_at_again() {
    for verb in [Verb::Start, Verb::Stop] {
        let (outcome, calls) = always(verb, "IncorrectInstanceState").await;
        assert_eq!((outcome.code, calls), (OutcomeCode::WrongState, 3));
    }
    for verb in [Verb::Start, Verb::Stop] {
        let (outcome, ec2) = one(verb, Machine::new(1, InstanceState::Terminated)).await;
        assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::WrongState, 0));
        let (outcome, ec2) = one(verb, Machine::new(1, InstanceState::ShuttingDown)).await;
        assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::WrongState, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_and_malformed_ids_are_told_apart() {
    let ec2 = Scripted::new([stopped()]);
    let ids = [
        "i-00000001",
        "i-0000000f",
        "i-WRONG",
        "00000001",
        "i-123",
        "",
    ]
    .map(InstanceId::new);
    let outcomes = ask(&ec2, Verb::Start, &ids, 1).await;
    assert_eq!(
        codes(&outcomes),
        [
            OutcomeCode::Done,
            OutcomeCode::NotFound,
            OutcomeCode::BadId,
            OutcomeCode::BadId,
            OutcomeCode::BadId,
            OutcomeCode::BadId
        ]
    );
    let (outcome, calls) = always(Verb::Start, "InvalidInstanceID.NotFound").await;
    assert_eq!((outcome.code, calls), (OutcomeCode::NotFound, 3));
    let (outcome, _) = always(Verb::Start, "InvalidInstanceID.Malformed").await;
    assert_eq!(outcome.code, OutcomeCode::BadId);
    // Nothing is asked where there is nothing to ask.
    assert!(ask(&ec2, Verb::Start, &[], 1).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_would_succeed_is_an_error_that_means_yes() {
    let (ec2, pace) = (Scripted::new([stopped()]), Pace::new(1));
    let ids = all(&ec2);
    assert_eq!(preflight(&ec2, &pace, Verb::Start, &ids).await, Ok(()));
    assert_eq!(preflight(&ec2, &pace, Verb::Start, &[]).await, Ok(()));
    for code in ["UnauthorizedOperation", "AccessDenied"] {
        ec2.with(|world| world.turns.push(Turn::Refuse(code)));
        let refusal = preflight(&ec2, &pace, Verb::Stop, &ids).await.unwrap_err();
        assert_eq!(refusal.code, OutcomeCode::Denied);
        assert!(refusal.message.contains("ec2:StopInstances"), "{refusal}");
    }
    assert_eq!(calls(&ec2), 0);
    ec2.with(|world| assert!(world.machines.values().all(|of| of.effects.is_empty())));
}

#[tokio::test(start_paused = true)]
async fn a_question_is_asked_again_where_ec2_is_too_busy_but_not_for_ever() {
    for code in ["RequestLimitExceeded", "InternalError"] {
        let (ec2, pace) = (Scripted::new([stopped()]), Pace::new(1));
        let ids = all(&ec2);
        ec2.with(|world| world.looks = vec![Turn::Refuse(code); 2]);
        assert_eq!(list(&ec2, &pace).await.unwrap().len(), 1, "{code}");
        ec2.with(|world| world.turns = vec![Turn::Refuse(code); 2]);
        assert_eq!(preflight(&ec2, &pace, Verb::Start, &ids).await, Ok(()));
        ec2.with(|world| world.looks = vec![Turn::Refuse(code); 4]);
        list(&ec2, &pace).await.unwrap_err();
        ec2.with(|world| assert_eq!(world.looks.len(), 1, "asked three times"));
    }
    // Who waits for an answer does not wait for it three times, nor is a refusal asked for again.
    for turn in [Turn::CutAfter, Turn::NotSent, Turn::Refuse("AuthFailure")] {
        let (ec2, pace) = (Scripted::new([stopped()]), Pace::new(1));
        ec2.with(|world| world.looks = vec![turn; 2]);
        list(&ec2, &pace).await.unwrap_err();
        ec2.with(|world| assert_eq!(world.looks.len(), 1, "asked once"));
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_or_is_not_known_is_told_so() {
    for code in ["UnauthorizedOperation", "AccessDenied"] {
        let (outcome, calls) = always(Verb::Start, code).await;
        assert_eq!((outcome.code, calls), (OutcomeCode::Denied, 1));
        assert!(
            outcome.message.contains("ec2:StartInstances"),
            "{outcome:?}"
        );
    }
    for code in ["AuthFailure", "ExpiredToken", "RequestExpired"] {
        let (outcome, calls) = always(Verb::Start, code).await;
        assert_eq!((outcome.code, calls), (OutcomeCode::Credentials, 1));
        assert!(outcome.message.contains("clock"), "{outcome:?}");
    }
    // Also when he may not even look.
    let ec2 = Scripted::new([stopped()]);
    ec2.with(|world| world.looks.push(Turn::Refuse("UnauthorizedOperation")));
    let outcome = ask(&ec2, Verb::Start, &all(&ec2), 1).await.remove(0);
    assert_eq!(outcome.code, OutcomeCode::Denied);
    assert!(
        outcome.message.contains("ec2:DescribeInstances"),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn protection_stays_and_those_before_it_are_stopped_once() {
    let mut machines: Vec<_> = (1..=6)
        .map(|number| Machine::new(number, InstanceState::Running))
        .collect();
    machines[3].is_protected = true;
    let ec2 = Scripted::new(machines);
    let outcomes = ask(&ec2, Verb::Stop, &all(&ec2), 1).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = if number == 3 {
            OutcomeCode::Protected
        } else {
            OutcomeCode::Done
        };
        assert_eq!(outcome.code, expected, "{outcome:?}");
    }
    ec2.with(|world| {
        for machine in world.machines.values() {
            let effects = usize::from(!machine.is_protected);
            assert_eq!(machine.effects.len(), effects, "{:?}", machine.id());
        }
    });
}

#[tokio::test(start_paused = true)]
async fn no_room_is_tried_a_few_times_and_no_more() {
    let (outcome, sent) = always(Verb::Start, "InsufficientInstanceCapacity").await;
    assert_eq!((outcome.code, sent), (OutcomeCode::NoCapacity, 3));
    assert!(outcome.message.contains("another zone"), "{outcome:?}");
    // Room comes free.
    let mut machine = stopped();
    machine.refusals = ("InsufficientInstanceCapacity", 2);
    let (outcome, ec2) = one(Verb::Start, machine).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 3));
}

#[tokio::test(start_paused = true)]
async fn a_full_zone_holds_up_no_other() {
    let mut machines: Vec<_> = (1..=4)
        .map(|number| Machine::new(number, InstanceState::Stopped))
        .collect();
    machines[0].refusals = ("InsufficientInstanceCapacity", u32::MAX);
    machines[2] = machines[2].clone().in_zone("us-east-1b");
    machines[3] = machines[3].clone().in_zone("us-east-1b");
    let ec2 = Scripted::new(machines);
    let outcomes = ask(&ec2, Verb::Start, &all(&ec2), 1).await;
    assert_eq!(
        codes(&outcomes),
        [
            OutcomeCode::NoCapacity,
            OutcomeCode::Done,
            OutcomeCode::Done,
            OutcomeCode::Done
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn limits_of_the_account_are_final() {
    for code in ["InstanceLimitExceeded", "VcpuLimitExceeded"] {
        let (outcome, calls) = always(Verb::Start, code).await;
        assert_eq!((outcome.code, calls), (OutcomeCode::Quota, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_and_has_an_end() {
    let ec2 = Scripted::new([stopped()]);
    ec2.with(|world| world.turns = vec![Turn::Refuse("RequestLimitExceeded"); 4]);
    let outcome = ask(&ec2, Verb::Start, &all(&ec2), 1).await.remove(0);
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 5));

    let began = Instant::now();
    let (outcome, calls) = always(Verb::Start, "RequestLimitExceeded").await;
    assert_eq!((outcome.code, calls), (OutcomeCode::Throttled, 8));
    assert!(
        began.elapsed() < Duration::from_secs(180),
        "{:?}",
        began.elapsed()
    );
    // To be throttled is no word on the machine.
    let ec2 = Scripted::new([stopped()]);
    ec2.with(|world| world.looks = vec![Turn::Refuse("RequestLimitExceeded"); 5]);
    let outcome = ask(&ec2, Verb::Start, &all(&ec2), 1).await.remove(0);
    assert_eq!(outcome.code, OutcomeCode::Done);
}

#[tokio::test(start_paused = true)]
async fn spot_and_instance_stores_and_group_members_are_left_alone() {
    let group = Obstacle::AutoScaling {
        group: "gates".to_owned(),
    };
    for (obstacle, says) in [
        (group, "Auto Scaling group gates"),
        (Obstacle::OneTimeSpot, "one-time Spot"),
        (
            Obstacle::InterruptedSpot,
            "EC2 interrupted this Spot instance",
        ),
        (Obstacle::InstanceStore, "instance store"),
    ] {
        for (verb, machine) in [(Verb::Start, stopped()), (Verb::Stop, running())] {
            let (outcome, ec2) = one(verb, machine.with_obstacle(obstacle.clone())).await;
            assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Obstacle, 0));
            assert!(outcome.message.contains(says), "{outcome:?}");
        }
    }
    // A Spot request that has not noticed the stop yet.
    let mut machine = stopped();
    machine.refusals = ("IncorrectSpotRequestState", 2);
    let (outcome, ec2) = one(Verb::Start, machine).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 3));
    let (outcome, calls) = always(Verb::Start, "IncorrectSpotRequestState").await;
    assert_eq!((outcome.code, calls), (OutcomeCode::Refused, 5));
    let (outcome, calls) = always(Verb::Stop, "UnsupportedOperation").await;
    assert_eq!((outcome.code, calls), (OutcomeCode::Refused, 1));
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_others_is_never_named_in_a_call() {
    let mut foreign = running();
    foreign.seen.stack = Some("another".to_owned());
    let mut untagged = Machine::new(2, InstanceState::Running);
    untagged.seen.stack = None;
    let mut broker = Machine::new(3, InstanceState::Running);
    broker.seen.instance.role = "broker".to_owned();
    let ec2 = Scripted::new([foreign, untagged, broker]);
    let outcomes = ask(&ec2, Verb::Stop, &all(&ec2), 1).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::NotOurs; 3]);
    assert_eq!(calls(&ec2), 0);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_falls_back_says_why_at_once() {
    for (why, code) in [
        (
            "Server.InsufficientInstanceCapacity",
            OutcomeCode::NoCapacity,
        ),
        ("Client.VolumeLimitExceeded", OutcomeCode::Quota),
        ("Server.InternalError", OutcomeCode::FellBack),
    ] {
        for to in [InstanceState::Stopped, InstanceState::Terminated] {
            let mut machine = stopped();
            machine.falls_back = Some((to, why));
            let began = Instant::now();
            let (outcome, ec2) = one(Verb::Start, machine).await;
            assert_eq!((outcome.code, calls(&ec2)), (code, 1), "{outcome:?}");
            assert!(outcome.message.contains(why), "{outcome:?}");
            assert!(began.elapsed() < Duration::from_secs(40));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_description_that_lags_is_no_fall() {
    let mut machine = stopped();
    machine.stale_for = Duration::from_secs(15);
    let (outcome, ec2) = one(Verb::Start, machine).await;
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_is_looked_after_before_anything_is_sent_again() {
    for (turn, sent) in [
        (Turn::CutAfter, 1),
        (Turn::CutBefore, 2),
        (Turn::NotSent, 2),
    ] {
        for (verb, machine) in [(Verb::Start, stopped()), (Verb::Stop, running())] {
            let ec2 = Scripted::new([machine]);
            ec2.with(|world| world.turns.push(turn.clone()));
            let outcome = ask(&ec2, verb, &all(&ec2), 1).await.remove(0);
            assert_eq!(
                (outcome.code, calls(&ec2)),
                (OutcomeCode::Done, sent),
                "{turn:?}"
            );
            ec2.with(|world| {
                let machine = world.machines.values().next().unwrap();
                assert_eq!(machine.effects, [verb]);
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_id_in_ten_does_not_sink_the_others() {
    let mut machines: Vec<_> = (1..=10)
        .map(|number| Machine::new(number, InstanceState::Stopped))
        .collect();
    machines[6].refusals = ("UnsupportedOperation", u32::MAX);
    let ec2 = Scripted::new(machines);
    let outcomes = ask(&ec2, Verb::Start, &all(&ec2), 1).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = if number == 6 {
            OutcomeCode::Refused
        } else {
            OutcomeCode::Done
        };
        assert_eq!(outcome.code, expected, "{outcome:?}");
    }
    // Ten, two fives, two and three, one and two: no more than a bisection.
    assert!(calls(&ec2) <= 9, "{}", calls(&ec2));
}

#[tokio::test(start_paused = true)]
async fn the_list_leaves_out_what_is_gone() {
    let ec2 = Scripted::new([
        Machine::new(2, InstanceState::Terminated),
        Machine::new(3, InstanceState::Stopped).in_zone("us-east-1b"),
        Machine::new(4, InstanceState::Running),
    ]);
    let pace = Pace::new(1);
    let listed = list(&ec2, &pace).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["i-00000004", "i-00000003"]);
    ec2.with(|world| world.looks.push(Turn::Refuse("AuthFailure")));
    assert_eq!(
        list(&ec2, &pace).await.unwrap_err().code,
        OutcomeCode::Credentials
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_called_for_is_looked_for_although_a_look_is_refused_once() {
    let denied = |times| {
        let ec2 = Scripted::new([stopped()]);
        ec2.with(|world| {
            world.looks = vec![Turn::Refuse("RequestExpired"); times];
            // Looks are taken from the end: the first is answered.
            world.looks.push(Turn::Natural);
        });
        ec2
    };
    let ec2 = denied(1);
    let outcome = ask(&ec2, Verb::Start, &all(&ec2), 1).await.remove(0);
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Done, 1));
    let ec2 = denied(100);
    let outcome = ask(&ec2, Verb::Start, &all(&ec2), 1).await.remove(0);
    assert_eq!((outcome.code, calls(&ec2)), (OutcomeCode::Credentials, 1));
}

#[test]
fn every_error_says_what_to_do() {
    for code in [
        "UnauthorizedOperation",
        "AuthFailure",
        "VcpuLimitExceeded",
        "Unheard",
    ] {
        let error = CallError::Refused {
            code: code.to_owned(),
            message: "EC2's own words".to_owned(),
        };
        assert!(error.advice("start").contains(code), "{code}");
    }
}
