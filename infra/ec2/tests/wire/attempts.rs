//! What is tried again, how often, and what is looked at first.

use std::time::{Duration, Instant};

use skilift_ec2::Ec2Fleet;
use skilift_fleet::Fleet as _;
use skilift_fleet::outcome::{OutcomeCode, Verb};
use skilift_servers::{
    Ec2Action, Ec2Answer, Ec2Fault, Ec2Instance, Ec2State, assert_aws_of_nobody, free_port,
};

use crate::{Wire, at_once, change, codes, id, ids, ready_for, worker};

/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn each_failure_is_tried_again_as_it_deserves() {
    at_once!(
        throttling_is_waited_out,
        throttling_that_does_not_end_is_given_up,
        throttled_looks_are_no_word_on_the_machine,
        no_room_is_tried_a_few_times_and_no_more,
        room_that_comes_free_is_taken,
        a_full_zone_holds_up_no_other,
        a_call_that_was_cut_after_its_effect_is_not_made_again,
        a_call_that_was_cut_before_its_effect_is_made_again,
        a_failure_of_ec2_itself_is_looked_after,
        a_late_answer_is_waited_for,
        an_answer_that_never_comes_is_looked_after,
        an_answer_that_is_no_xml_is_looked_after,
        looks_that_fail_are_repeated,
        where_nobody_listens_nothing_is_known,
    );
}

/// The error that each start gets.
fn start_error(code: &str) -> Ec2Fault {
    Ec2Fault::error(Ec2Action::StartInstances, code)
}

async fn throttling_is_waited_out() {
    for verb in [Verb::Start, Verb::Stop] {
        let wire = Wire::with([ready_for(verb)]).await;
        let throttled = Ec2Fault::error(change(verb), "RequestLimitExceeded");
        wire.ec2.inject(throttled.times(3));
        let outcome = wire.ask_one(verb).await;
        assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 4));
    }
}

async fn throttling_that_does_not_end_is_given_up() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    wire.ec2
        .inject(start_error("RequestLimitExceeded").always());
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!(
        (outcome.code, wire.changes().len()),
        (OutcomeCode::Throttled, 8)
    );
    let times: Vec<_> = wire.changes().iter().map(|call| call.at).collect();
    let took = times[7] - times[0];
    assert!(took > Duration::from_secs(5), "not even slower: {took:?}");
}

async fn throttled_looks_are_no_word_on_the_machine() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    for look in [
        Ec2Action::DescribeInstances,
        Ec2Action::DescribeInstanceStatus,
    ] {
        let throttled = Ec2Fault::error(look, "RequestLimitExceeded");
        wire.ec2.inject(throttled.times(3));
    }
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 1));
}

async fn no_room_is_tried_a_few_times_and_no_more() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    wire.ec2
        .limit_capacity("c7g.large", "eu-central-1a", Some(0));
    let outcome = wire.ask_one(Verb::Start).await;
    let tries = wire.changes();
    // Its status is 500, which the SDK would repeat by itself.
    assert_eq!((outcome.code, tries.len()), (OutcomeCode::NoCapacity, 3));
    assert!(outcome.message.contains("another zone"), "{outcome:?}");
    let refused = Ec2Answer::Error("InsufficientInstanceCapacity".to_owned());
    assert!(tries.iter().all(|call| call.answer == refused));
}

async fn room_that_comes_free_is_taken() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    wire.ec2
        .inject(start_error("InsufficientInstanceCapacity").times(2));
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 3));
}

async fn a_full_zone_holds_up_no_other() {
    let wire = Wire::with((1..=5).map(|number| Ec2Instance {
        zone: format!("eu-central-1{}", if number <= 3 { "a" } else { "b" }),
        ..worker(number, Ec2State::Stopped)
    }))
    .await;
    wire.ec2
        .limit_capacity("c7g.large", "eu-central-1a", Some(1));
    let mut found = codes(&wire.ask(Verb::Start, &ids(1..=5)).await);
    assert_eq!(found.split_off(3), [OutcomeCode::Done; 2]);
    // Which of them gets the one place is not ours to say.
    let got_in = found.iter().filter(|code| **code == OutcomeCode::Done);
    assert_eq!(got_in.count(), 1);
    let left_out = found
        .iter()
        .filter(|code| **code == OutcomeCode::NoCapacity);
    assert_eq!(left_out.count(), 2);
}

async fn a_call_that_was_cut_after_its_effect_is_not_made_again() {
    for verb in [Verb::Start, Verb::Stop] {
        let wire = Wire::with([ready_for(verb)]).await;
        wire.ec2.inject(Ec2Fault::cut_after(change(verb)));
        let outcome = wire.ask_one(verb).await;
        assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 1));
    }
}

/// It has left no trace for as long as descriptions may lag.
async fn a_call_that_was_cut_before_its_effect_is_made_again() {
    let wires = (
        Wire::with([ready_for(Verb::Start)]).await,
        Wire::with([ready_for(Verb::Stop)]).await,
    );
    let (start, stop) = &wires;
    start
        .ec2
        .inject(Ec2Fault::cut_before(Ec2Action::StartInstances));
    stop.ec2
        .inject(Ec2Fault::cut_before(Ec2Action::StopInstances));
    let (started, stopped) = tokio::join!(start.ask_one(Verb::Start), stop.ask_one(Verb::Stop));
    for (wire, outcome) in [(start, started), (stop, stopped)] {
        let calls = wire.changes();
        assert_eq!((outcome.code, calls.len()), (OutcomeCode::Done, 2));
        let looks = wire.ec2.calls();
        let between = looks.iter().filter(|call| {
            call.action == "DescribeInstances" && calls[0].at < call.at && call.at < calls[1].at
        });
        assert!(between.count() > 0, "called again without a look");
    }
}

async fn a_failure_of_ec2_itself_is_looked_after() {
    let wire = Wire::with((1..=4).map(|number| worker(number, Ec2State::Stopped))).await;
    let fails = start_error("InternalError");
    wire.ec2.inject(fails.on(&id(3)).after_earlier_ids());
    let outcomes = wire.ask(Verb::Start, &ids(1..=4)).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Done; 4]);
    let calls = wire.changes();
    let changed: Vec<_> = calls.iter().map(|call| &call.changed).collect();
    assert_eq!(changed, [&ids([1, 2]), &ids([3, 4])]);
    assert_eq!(
        calls[1].ids,
        ids([3, 4]),
        "the first two were seen to start"
    );
}

async fn a_late_answer_is_waited_for() {
    let wire = Wire::with([worker(1, Ec2State::Running)]).await;
    let late = Duration::from_secs(3);
    wire.ec2
        .inject(Ec2Fault::delay(Ec2Action::StopInstances, late));
    let began = Instant::now();
    let outcome = wire.ask_one(Verb::Stop).await;
    assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 1));
    assert!(began.elapsed() >= late);
}

async fn an_answer_that_never_comes_is_looked_after() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    let never = Duration::from_secs(600);
    wire.ec2
        .inject(Ec2Fault::delay(Ec2Action::StartInstances, never));
    let began = Instant::now();
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 1));
    assert!(wire.was_told("did not respond within 20 seconds"));
    assert!(began.elapsed() >= CALL_LIMIT);
}

async fn an_answer_that_is_no_xml_is_looked_after() {
    for (verb, status) in [
        (Verb::Start, 502),
        (Verb::Start, 200),
        (Verb::Stop, 504),
        (Verb::Stop, 200),
    ] {
        let wire = Wire::with([ready_for(verb)]).await;
        wire.ec2.inject(Ec2Fault::not_xml(change(verb), status));
        let outcome = wire.ask_one(verb).await;
        assert_eq!(
            (outcome.code, wire.changes().len()),
            (OutcomeCode::Done, 1),
            "{status}"
        );
    }
}

async fn looks_that_fail_are_repeated() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    let look = Ec2Action::DescribeInstances;
    for fault in [
        Ec2Fault::cut_before(look),
        Ec2Fault::not_xml(look, 200),
        Ec2Fault::not_xml(look, 502),
        Ec2Fault::error(look, "InternalError"),
        Ec2Fault::cut_before(Ec2Action::DescribeInstanceStatus),
    ] {
        wire.ec2.inject(fault);
    }
    let outcome = wire.ask_one(Verb::Start).await;
    assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 1));
}

async fn where_nobody_listens_nothing_is_known() {
    assert_aws_of_nobody();
    let nobody = format!("http://127.0.0.1:{}", free_port().unwrap());
    let error = Ec2Fleet::new("alps", Some(nobody)).list().await;
    assert_eq!(error.unwrap_err().code, OutcomeCode::Unreachable);
}
