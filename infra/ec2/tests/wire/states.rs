//! What EC2's states ask for, and what becomes of them.

use std::time::Duration;

use skilift_fleet::Fleet as _;
use skilift_fleet::outcome::{OutcomeCode, Verb};
use skilift_servers::{Ec2Action, Ec2Fault, Ec2Instance, Ec2State, Ec2Timings};
use tokio::time::sleep;

use crate::{Wire, action, at_once, change, codes, id, ids, ready_for, worker};

#[tokio::test]
async fn each_state_has_its_outcome() {
    at_once!(
        what_is_asked_for_is_done,
        what_is_so_already_is_not_called_for,
        what_is_on_its_way_is_waited_for,
        what_is_gone_stays_so,
        a_state_that_changed_meanwhile_is_looked_at_again,
        ids_that_are_none_or_of_nobody_hold_up_no_other,
        an_id_that_ec2_itself_does_not_know_yet_is_asked_for_again,
        nothing_is_sent_for_nothing,
        an_id_that_is_named_twice_is_one_machine,
        a_description_that_lags_is_no_fall,
        a_start_that_falls_back_says_why,
        a_machine_that_vanishes_while_it_starts_is_told_of,
        checks_that_fail_are_waited_for,
        what_belongs_to_others_is_left_alone,
    );
}

async fn what_is_asked_for_is_done() {
    let wire = Wire::with([
        worker(1, Ec2State::Stopped),
        worker(2, Ec2State::Stopped),
        worker(3, Ec2State::Running),
    ])
    .await;
    let outcomes = wire.ask(Verb::Start, &ids([1, 2])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Done; 2]);
    let outcomes = wire.ask(Verb::Stop, &ids([3, 2])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Done; 2]);
    let states = [1, 2, 3].map(|number| wire.state(number));
    assert_eq!(
        states,
        [Ec2State::Running, Ec2State::Stopped, Ec2State::Stopped]
    );
    assert_eq!(wire.changes().len(), 2, "what can go together does");
    assert!(wire.was_told("accepted by EC2"));
    let never = ["Force", "Hibernate", "SkipOsShutdown"];
    let sent = wire.ec2.calls();
    assert!(
        never
            .iter()
            .all(|key| sent.iter().all(|call| !call.parameters.contains_key(*key)))
    );
}

async fn what_is_so_already_is_not_called_for() {
    let member = worker(3, Ec2State::Running).tag("aws:autoscaling:groupName", "gates");
    let wire = Wire::with([
        worker(1, Ec2State::Running),
        worker(2, Ec2State::Stopped),
        member,
    ])
    .await;
    let outcomes = wire.ask(Verb::Start, &ids([1, 3])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Already; 2]);
    let outcomes = wire.ask(Verb::Stop, &ids([2])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::Already]);
    assert!(wire.changes().is_empty());
}

async fn what_is_on_its_way_is_waited_for() {
    let wire = Wire::with([
        worker(1, Ec2State::Stopping),
        worker(2, Ec2State::Pending),
        worker(3, Ec2State::Pending),
    ])
    .await;
    let arrive = async {
        sleep(Duration::from_secs(1)).await;
        wire.ec2.change(&id(1), |it| it.state = Ec2State::Stopped);
        wire.ec2.change(&id(2), |it| it.state = Ec2State::Running);
        wire.ec2.change(&id(3), |it| it.state = Ec2State::Running);
    };
    let (starts, stops) = (ids([1, 2]), ids([3]));
    let (started, stopped, ()) = tokio::join!(
        wire.fleet_alone(Verb::Start, &starts),
        wire.fleet_alone(Verb::Stop, &stops),
        arrive
    );
    assert_eq!(started, [OutcomeCode::Done, OutcomeCode::Already]);
    assert_eq!(stopped, [OutcomeCode::Done]);
    let changes = wire.changes();
    assert_eq!(changes.len(), 2);
    for call in changes {
        let number = if call.action == action(Verb::Start) {
            1
        } else {
            3
        };
        assert_eq!((&call.ids, &call.changed), (&ids([number]), &ids([number])));
    }
}

impl Wire {
    /// Without a look at what else is asked meanwhile.
    async fn fleet_alone(&self, verb: Verb, ids: &[String]) -> Vec<OutcomeCode> {
        let ids: Vec<_> = ids
            .iter()
            .map(skilift_fleet::instance::InstanceId::new)
            .collect();
        codes(&match verb {
            Verb::Start => self.fleet.start(&ids, &|_, _| {}).await,
            Verb::Stop => self.fleet.stop(&ids, &|_, _| {}).await,
        })
    }
}

async fn what_is_gone_stays_so() {
    let wire = Wire::with([
        worker(1, Ec2State::Terminated),
        worker(2, Ec2State::ShuttingDown),
    ])
    .await;
    for verb in [Verb::Start, Verb::Stop] {
        let outcomes = wire.ask(verb, &ids([1, 2])).await;
        assert_eq!(codes(&outcomes), [OutcomeCode::WrongState; 2]);
    }
    assert!(wire.changes().is_empty());
}

async fn a_state_that_changed_meanwhile_is_looked_at_again() {
    for verb in [Verb::Start, Verb::Stop] {
        let wrong = Ec2Fault::error(change(verb), "IncorrectInstanceState");
        let once = Wire::with([ready_for(verb)]).await;
        once.ec2.inject(wrong.clone());
        let always = Wire::with([ready_for(verb)]).await;
        always.ec2.inject(wrong.always());
        let (once_ended, ended) = tokio::join!(once.ask_one(verb), always.ask_one(verb));
        assert_eq!(
            (once_ended.code, once.changes().len()),
            (OutcomeCode::Done, 2)
        );
        assert_eq!(
            (ended.code, always.changes().len()),
            (OutcomeCode::WrongState, 3)
        );
    }
}

async fn ids_that_are_none_or_of_nobody_hold_up_no_other() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    let wrong = ["i-WRONG", "1", "", "i-0000000000000000g"].map(str::to_owned);
    let asked = [&ids([1, 99])[..], &wrong].concat();
    let outcomes = wire.ask(Verb::Start, &asked).await;
    let mut expected = vec![OutcomeCode::Done, OutcomeCode::NotFound];
    expected.extend([OutcomeCode::BadId; 4]);
    assert_eq!(codes(&outcomes), expected);
    assert_eq!(wire.changes()[0].ids, ids([1]));
    for call in wire.ec2.calls() {
        let mut sent = call.parameters.values();
        assert!(!sent.any(|value| wrong.contains(value)), "{call:?}");
    }
}

async fn an_id_that_ec2_itself_does_not_know_yet_is_asked_for_again() {
    let wire = Wire::with((1..=3).map(|number| worker(number, Ec2State::Stopped))).await;
    let unknown = Ec2Fault::error(Ec2Action::StartInstances, "InvalidInstanceID.NotFound");
    // The batch of three, then each alone.
    wire.ec2.inject(unknown.clone().on(&id(1)).times(3));
    wire.ec2.inject(unknown.on(&id(2)).always());
    let malformed = Ec2Fault::error(Ec2Action::StartInstances, "InvalidInstanceID.Malformed");
    wire.ec2.inject(malformed.on(&id(3)).always());
    let outcomes = wire.ask(Verb::Start, &ids([1, 2, 3])).await;
    assert_eq!(
        codes(&outcomes),
        [OutcomeCode::Done, OutcomeCode::NotFound, OutcomeCode::BadId]
    );
}

async fn nothing_is_sent_for_nothing() {
    let wire = Wire::with([worker(1, Ec2State::Running)]).await;
    for verb in [Verb::Start, Verb::Stop] {
        assert!(wire.ask(verb, &[]).await.is_empty());
        assert_eq!(wire.fleet.preflight(verb, &[]).await, Ok(()));
    }
    assert!(wire.ec2.calls().is_empty());
}

async fn an_id_that_is_named_twice_is_one_machine() {
    let wire = Wire::with([worker(1, Ec2State::Stopped)]).await;
    let outcomes = wire.fleet_alone(Verb::Start, &ids([1, 1])).await;
    assert_eq!(outcomes, [OutcomeCode::Done]);
    assert_eq!(wire.changes()[0].ids, ids([1]));
}

async fn a_description_that_lags_is_no_fall() {
    let timings = Ec2Timings {
        lag: Duration::from_secs(5),
        ..Ec2Timings::default()
    };
    for verb in [Verb::Start, Verb::Stop] {
        let wire = Wire::timed(timings, [ready_for(verb)]).await;
        let outcome = wire.ask_one(verb).await;
        assert_eq!(
            (outcome.code, wire.changes().len()),
            (OutcomeCode::Done, 1),
            "{outcome:?}"
        );
    }
}

async fn a_start_that_falls_back_says_why() {
    let wire = Wire::with((1..=3).map(|number| worker(number, Ec2State::Stopped))).await;
    let falls = [
        (
            "Server.InsufficientInstanceCapacity",
            OutcomeCode::NoCapacity,
        ),
        ("Client.VolumeLimitExceeded", OutcomeCode::Quota),
        ("Server.InternalError", OutcomeCode::FellBack),
    ];
    for ((why, expected), number) in falls.into_iter().zip(1..) {
        wire.ec2.inject(Ec2Fault::falls_back(why).on(&id(number)));
        let outcome = wire.ask(Verb::Start, &ids([number])).await.remove(0);
        assert_eq!(outcome.code, expected, "{outcome:?}");
        assert!(outcome.message.contains(why), "{outcome:?}");
        assert_eq!(wire.state(number), Ec2State::Stopped);
    }
    assert_eq!(wire.changes().len(), 3, "each was tried once");
}

async fn a_machine_that_vanishes_while_it_starts_is_told_of() {
    let timings = Ec2Timings {
        pending: Duration::from_secs(60),
        ..Ec2Timings::default()
    };
    let two = [worker(1, Ec2State::Stopped), worker(2, Ec2State::Stopped)];
    let wire = Wire::timed(timings, two).await;
    let vanish = async {
        wire.until_asked("StartInstances").await;
        wire.ec2.change(&id(1), |it| {
            it.state = Ec2State::Terminated;
            it.state_reason = Some("Server.InternalError".to_owned());
        });
        wire.ec2.remove(&id(2));
    };
    let asked = ids([1, 2]);
    let (outcomes, ()) = tokio::join!(wire.ask(Verb::Start, &asked), vanish);
    assert_eq!(
        codes(&outcomes),
        [OutcomeCode::FellBack, OutcomeCode::NotFound]
    );
    assert!(
        outcomes[0].message.contains("Server.InternalError"),
        "{outcomes:?}"
    );
}

async fn checks_that_fail_are_waited_for() {
    let ill = Ec2Instance {
        impaired: true,
        ..worker(1, Ec2State::Stopped)
    };
    let wire = Wire::with([ill]).await;
    let mend = async {
        while !wire.was_told("its EC2 status checks fail") {
            sleep(Duration::from_millis(20)).await;
        }
        wire.ec2.change(&id(1), |it| it.impaired = false);
    };
    let (outcome, ()) = tokio::join!(wire.ask_one(Verb::Start), mend);
    assert_eq!((outcome.code, wire.changes().len()), (OutcomeCode::Done, 1));
}

async fn what_belongs_to_others_is_left_alone() {
    let wire = Wire::with([
        worker(1, Ec2State::Running).tag("skilift:stack", "jura"),
        Ec2Instance::new(id(2), Ec2State::Running),
        worker(3, Ec2State::Running).tag("skilift:role", "broker"),
    ])
    .await;
    let outcomes = wire.ask(Verb::Stop, &ids([1, 2, 3])).await;
    assert_eq!(codes(&outcomes), [OutcomeCode::NotOurs; 3]);
    assert!(wire.changes().is_empty());
}
