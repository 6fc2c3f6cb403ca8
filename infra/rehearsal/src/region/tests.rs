//! The state machine, with a time of its own.

use super::*;

const A: &str = "i-0000000000000000a";
const B: &str = "i-0000000000000000b";
const C: &str = "i-0000000000000000c";

const STEP: Duration = Duration::from_secs(10);

/// Each delay has its own length, so that none can stand in for another.
fn timings() -> Ec2Timings {
    Ec2Timings {
        pending: STEP,
        stopping: 2 * STEP,
        initializing: STEP,
        lag: STEP / 2,
        spot_settling: STEP,
    }
}

fn region(instances: impl IntoIterator<Item = Ec2Instance>) -> Region {
    let mut region = Region::new(timings());
    for instance in instances {
        region.put(instance);
    }
    region
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn start(region: &mut Region, named: &[&str], now: Instant) -> Effect {
    region.start(&ids(named), &HashMap::new(), now)
}

fn states(region: &Region, now: Instant) -> Vec<Ec2State> {
    let machines = region.machines.values();
    machines.map(|machine| machine.at(now).state).collect()
}

#[track_caller]
fn assert_refused(effect: &Effect, code: &str, changed: &[&str]) {
    let refusal = effect.result.as_ref().unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), effect.changed.clone()),
        (code, ids(changed))
    );
}

#[test]
fn a_start_and_a_stop_take_their_time() {
    let now = Instant::now();
    let mut region = region([
        Ec2Instance::new(A, Ec2State::Stopped),
        Ec2Instance::new(B, Ec2State::Running),
    ]);
    let effect = start(&mut region, &[A, B], now);
    assert_eq!(effect.changed, [A], "B runs already");
    let transitions = effect.result.unwrap();
    let seen: Vec<_> = transitions
        .iter()
        .map(|it| (it.id.as_str(), it.previous, it.current))
        .collect();
    assert_eq!(
        seen,
        [
            (A, Ec2State::Stopped, Ec2State::Pending),
            (B, Ec2State::Running, Ec2State::Running)
        ]
    );
    assert_eq!(states(&region, now + STEP / 2)[0], Ec2State::Pending);
    assert_eq!(states(&region, now + STEP)[0], Ec2State::Running);

    let later = now + 5 * STEP;
    assert_eq!(region.stop(&ids(&[A]), later).changed, [A]);
    assert_eq!(states(&region, later)[0], Ec2State::Stopping);
    assert!(
        region.stop(&ids(&[A]), later + STEP).changed.is_empty(),
        "it stops already"
    );
    assert_eq!(states(&region, later + 2 * STEP)[0], Ec2State::Stopped);
    let reason = region.instance(A, later + 2 * STEP).unwrap().state_reason;
    assert_eq!(reason.as_deref(), Some("Client.UserInitiatedShutdown"));
}

#[test]
fn one_bad_id_or_state_refuses_the_whole_call() {
    let now = Instant::now();
    let mut region = region([
        Ec2Instance::new(A, Ec2State::Stopped),
        Ec2Instance::new(B, Ec2State::Running),
    ]);
    assert_refused(
        &start(&mut region, &[A, "i-1"], now),
        "InvalidInstanceID.Malformed",
        &[],
    );
    assert_refused(
        &start(&mut region, &[A, "i-0000000G"], now),
        "InvalidInstanceID.Malformed",
        &[],
    );
    assert_refused(
        &start(&mut region, &[A, C], now),
        "InvalidInstanceID.NotFound",
        &[],
    );
    for state in [
        Ec2State::Stopping,
        Ec2State::ShuttingDown,
        Ec2State::Terminated,
    ] {
        region.put(Ec2Instance::new(C, state));
        assert_refused(
            &start(&mut region, &[A, C], now),
            "IncorrectInstanceState",
            &[],
        );
    }
    for state in [
        Ec2State::Pending,
        Ec2State::ShuttingDown,
        Ec2State::Terminated,
    ] {
        region.put(Ec2Instance::new(C, state));
        assert_refused(
            &region.stop(&ids(&[B, C]), now),
            "IncorrectInstanceState",
            &[],
        );
    }
    assert_eq!(
        states(&region, now + STEP)[..2],
        [Ec2State::Stopped, Ec2State::Running]
    );
}

#[test]
fn stop_protection_comes_too_late_for_those_named_before() {
    let now = Instant::now();
    let protected = Ec2Instance {
        stop_protected: true,
        ..Ec2Instance::new(B, Ec2State::Running)
    };
    let mut region = region([
        Ec2Instance::new(A, Ec2State::Running),
        protected,
        Ec2Instance::new(C, Ec2State::Running),
    ]);
    assert_refused(
        &region.stop(&ids(&[A, B, C]), now),
        "OperationNotPermitted",
        &[A],
    );
    use Ec2State::{Running, Stopping};
    assert_eq!(states(&region, now), [Stopping, Running, Running]);
}

#[test]
fn what_cannot_be_stopped_is_refused() {
    let now = Instant::now();
    let running = |id| Ec2Instance::new(id, Ec2State::Running);
    let instance_store = Ec2Instance {
        instance_store: true,
        ..running(B)
    };
    let one_time = Ec2Instance {
        spot: Some(Ec2Spot::OneTime),
        ..running(C)
    };
    let mut region = region([running(A), instance_store, one_time]);
    assert_refused(
        &region.stop(&ids(&[A, B]), now),
        "UnsupportedOperation",
        &[],
    );
    assert_refused(
        &region.stop(&ids(&[A, C]), now),
        "UnsupportedOperation",
        &[],
    );
}

#[test]
fn a_spot_instance_waits_for_its_request_and_an_interrupted_one_for_ec2() {
    let now = Instant::now();
    let spot = |id, spot, state| Ec2Instance {
        spot: Some(spot),
        ..Ec2Instance::new(id, state)
    };
    let mut region = region([
        spot(A, Ec2Spot::Persistent, Ec2State::Running),
        spot(B, Ec2Spot::Interrupted, Ec2State::Stopped),
    ]);
    assert_refused(
        &start(&mut region, &[B], now),
        "IncorrectSpotRequestState",
        &[],
    );
    assert_eq!(region.stop(&ids(&[A]), now).changed, [A]);
    let stopped = now + 2 * STEP;
    assert_refused(
        &start(&mut region, &[A], stopped),
        "IncorrectSpotRequestState",
        &[],
    );
    assert_eq!(start(&mut region, &[A], stopped + STEP).changed, [A]);
}

#[test]
fn room_is_limited_by_type_and_zone_and_a_stop_makes_some() {
    let now = Instant::now();
    let elsewhere = Ec2Instance {
        zone: "eu-central-1b".to_owned(),
        ..Ec2Instance::new(C, Ec2State::Stopped)
    };
    let mut region = region([
        Ec2Instance::new(A, Ec2State::Stopped),
        Ec2Instance::new(B, Ec2State::Stopped),
        elsewhere,
    ]);
    region.limit("c7g.large", "eu-central-1a", Some(1));
    assert_refused(
        &start(&mut region, &[A, B, C], now),
        "InsufficientInstanceCapacity",
        &[],
    );
    assert_eq!(start(&mut region, &[A, C], now).changed, [A, C]);
    assert_refused(
        &start(&mut region, &[B], now),
        "InsufficientInstanceCapacity",
        &[],
    );
    assert_eq!(region.stop(&ids(&[A]), now + STEP).changed, [A]);
    assert_eq!(start(&mut region, &[B], now + STEP).changed, [B]);
}

#[test]
fn a_start_can_fall_back_and_says_why() {
    let now = Instant::now();
    let mut region = region([
        Ec2Instance::new(A, Ec2State::Stopped),
        Ec2Instance::new(B, Ec2State::Stopped),
    ]);
    let reason = "Client.VolumeLimitExceeded".to_owned();
    let falling = HashMap::from([(A.to_owned(), reason.clone())]);
    let effect = region.start(&ids(&[A, B]), &falling, now);
    assert_eq!(effect.changed, [A, B]);
    assert_eq!(states(&region, now), [Ec2State::Pending; 2]);
    assert_eq!(
        states(&region, now + STEP),
        [Ec2State::Stopped, Ec2State::Running]
    );
    assert_eq!(
        region.instance(A, now + STEP).unwrap().state_reason,
        Some(reason)
    );
}

#[test]
fn a_group_terminates_the_member_that_was_stopped() {
    let now = Instant::now();
    let member = Ec2Instance::new(A, Ec2State::Running).tag("aws:autoscaling:groupName", "workers");
    let mut region = region([member]);
    assert_eq!(region.stop(&ids(&[A]), now).changed, [A]);
    let seen = (0..5).map(|steps| states(&region, now + steps * STEP)[0]);
    use Ec2State::{ShuttingDown, Stopped, Stopping, Terminated};
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [Stopping, Stopping, Stopped, ShuttingDown, Terminated]
    );
}

#[test]
fn a_change_from_outside_ends_what_was_on_its_way() {
    let now = Instant::now();
    let mut region = region([Ec2Instance::new(A, Ec2State::Stopped)]);
    assert_eq!(start(&mut region, &[A], now).changed, [A]);
    region.change(A, now, |instance| instance.impaired = true);
    assert_eq!(
        states(&region, now + STEP),
        [Ec2State::Running],
        "its state was left alone"
    );
    region.change(A, now, |instance| instance.state = Ec2State::Terminated);
    assert_eq!(states(&region, now + STEP), [Ec2State::Terminated]);
}
