//! Whatever happens, in whatever order: one outcome for each machine, nothing done twice, and an end.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::super::pace::{START_LIMIT, STOP_LIMIT};
use super::super::scripted::{Machine, Scripted, Sent, Turn};
use super::ask;
use skilift_fleet::instance::{InstanceId, InstanceState, Obstacle};
use skilift_fleet::outcome::{OutcomeCode, Verb};

/// How many schedules of faults are tried.
const SCHEDULES: u64 = 10_000;

/// Most calls that name one machine: every kind of try, and the halves of batches, again and again.
const MOST_CALLS: usize = 20;

/// Errors of calls.
const ERRORS: [&str; 12] = [
    "RequestLimitExceeded",
    "InternalError",
    "Unavailable",
    "InsufficientInstanceCapacity",
    "IncorrectInstanceState",
    "InvalidInstanceID.NotFound",
    "UnauthorizedOperation",
    "VcpuLimitExceeded",
    "UnsupportedOperation",
    "IncorrectSpotRequestState",
    "OperationNotPermitted",
    "AuthFailure",
];

/// Why a start falls back.
const FALLS: [&str; 4] = [
    "Server.InsufficientInstanceCapacity",
    "Client.VolumeLimitExceeded",
    "Server.InternalError",
    "Client.InvalidSnapshot.NotFound",
];

fn seconds(random: &mut SmallRng, most: u64) -> Duration {
    Duration::from_millis(random.random_range(0..=most * 1_000))
}

fn turn(random: &mut SmallRng) -> Turn {
    match random.random_range(0..10) {
        0..3 => Turn::Natural,
        3..6 => Turn::Refuse(ERRORS.choose(random).unwrap()),
        6 => Turn::CutAfter,
        7 => Turn::CutBefore,
        8 => Turn::NotSent,
        _ => Turn::Delay(seconds(random, 40)),
    }
}

fn machine(number: u32, random: &mut SmallRng) -> Machine {
    let state = *[
        InstanceState::Stopped,
        InstanceState::Stopped,
        InstanceState::Running,
        InstanceState::Running,
        InstanceState::Pending,
        InstanceState::Stopping,
        InstanceState::Terminated,
    ]
    .choose(random)
    .unwrap();
    let mut machine = Machine::new(number, state);
    machine.moves_for = seconds(random, 300);
    machine.stale_for = seconds(random, 15);
    machine.checks_for = Some(seconds(random, 300));
    machine = match state {
        InstanceState::Pending => machine.on_its_way(InstanceState::Running),
        InstanceState::Stopping => machine.on_its_way(InstanceState::Stopped),
        _ => machine,
    };
    match random.random_range(0..16) {
        0 => machine.checks_for = None,
        1 => {
            let to = [InstanceState::Stopped, InstanceState::Terminated];
            machine.falls_back = Some((*to.choose(random).unwrap(), FALLS.choose(random).unwrap()));
        }
        2 => machine.refusals = (ERRORS.choose(random).unwrap(), random.random_range(1..12)),
        3 => machine.refusals = (ERRORS.choose(random).unwrap(), u32::MAX),
        4 => machine.is_protected = true,
        5 => machine.removed_after = Some(seconds(random, 600)),
        6 => machine = machine.with_obstacle(Obstacle::InstanceStore),
        7 => machine = machine.in_zone("us-east-1b"),
        8 => machine.seen.stack = None,
        9 => machine.moves_for = Duration::from_secs(24 * 3600),
        _ => {}
    }
    machine
}

/// A schedule: machines, and what happens at each call.
fn schedule(random: &mut SmallRng) -> (Scripted, Vec<InstanceId>) {
    let count = random.random_range(1..=8);
    let ec2 = Scripted::new((1..=count).map(|number| machine(number, random)));
    let mut ids = super::all(&ec2);
    if random.random_bool(0.1) {
        ids.insert(0, InstanceId::new("i-0badc0de"));
    }
    if random.random_bool(0.1) {
        ids.push(InstanceId::new("i-what"));
    }
    ec2.with(|world| {
        let turns = random.random_range(0..12);
        world.turns = (0..turns).map(|_| turn(random)).collect();
        let looks = random.random_range(0..12);
        // That nobody may look at all is another test.
        let look = |random: &mut SmallRng| match turn(random) {
            Turn::Refuse(_) => Turn::Refuse("RequestLimitExceeded"),
            other => other,
        };
        world.looks = (0..looks).map(|_| look(random)).collect();
    });
    (ec2, ids)
}

#[tokio::test(start_paused = true)]
async fn every_schedule_of_faults_ends_with_one_outcome_for_each() {
    for seed in 0..SCHEDULES {
        let random = &mut SmallRng::seed_from_u64(seed);
        let (ec2, ids) = schedule(random);
        let verb = *[Verb::Start, Verb::Stop].choose(random).unwrap();
        let began = Instant::now();
        let outcomes = ask(&ec2, verb, &ids, seed).await;
        let took = began.elapsed();

        let of: Vec<_> = outcomes.iter().map(|outcome| outcome.id.clone()).collect();
        assert_eq!(of, ids, "schedule {seed}: one outcome for each");
        let limit = START_LIMIT.max(STOP_LIMIT) + Duration::from_secs(120);
        assert!(took <= limit, "schedule {seed} took {took:?}");

        ec2.with(|world| {
            for outcome in &outcomes {
                let id = &outcome.id;
                let naming = world.calls.iter().filter(|sent| sent.ids.contains(id));
                let naming: Vec<_> = naming.collect();
                assert!(naming.iter().all(|sent| sent.verb == verb));
                let first = naming.iter().position(|sent| sent.is_accepted);
                assert!(
                    first.is_none_or(|first| first + 1 == naming.len()),
                    "schedule {seed}: {id} was called again after EC2 had accepted it: {naming:?}"
                );
                let is_looked_at = |pair: &[&Sent]| pair[0].looks_before < pair[1].looks_before;
                assert!(
                    naming.windows(2).all(is_looked_at),
                    "schedule {seed}: {id} was called again without a look: {naming:?}"
                );
                assert!(
                    naming.len() <= MOST_CALLS,
                    "schedule {seed}: {id} was called {} times",
                    naming.len()
                );
                // What is refused for one id may be another's fault.
                let is_told_alike = !matches!(
                    outcome.code,
                    OutcomeCode::Denied | OutcomeCode::Protected | OutcomeCode::Refused
                );
                assert!(
                    is_told_alike || naming.iter().any(|sent| sent.ids.len() == 1),
                    "schedule {seed}: {outcome:?}, but it was never called for alone"
                );
                let Some(machine) = world.machines.get(id) else {
                    assert!(!outcome.code.is_good(), "schedule {seed}: {outcome:?}");
                    continue;
                };
                assert!(
                    machine.effects.len() <= 1 && machine.effects.iter().all(|done| *done == verb),
                    "schedule {seed}: {id}: {:?}",
                    machine.effects
                );
                if outcome.code == OutcomeCode::Done && machine.removed_after.is_none() {
                    let wanted = match verb {
                        Verb::Start => InstanceState::Running,
                        Verb::Stop => InstanceState::Stopped,
                    };
                    assert_eq!(machine.state(), wanted, "schedule {seed}: {outcome:?}");
                }
                if outcome.code == OutcomeCode::NotOurs || outcome.code == OutcomeCode::Obstacle {
                    assert!(naming.is_empty(), "schedule {seed}: {outcome:?}");
                }
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_takes_its_time_is_done() {
    for seed in 0..500 {
        let random = &mut SmallRng::seed_from_u64(seed);
        let verb = *[Verb::Start, Verb::Stop].choose(random).unwrap();
        let from = match verb {
            Verb::Start => InstanceState::Stopped,
            Verb::Stop => InstanceState::Running,
        };
        let ec2 = Scripted::new((1..=8).map(|number| {
            let mut machine = Machine::new(number, from);
            machine.moves_for = seconds(random, 240);
            machine.stale_for = seconds(random, 15);
            machine.checks_for = Some(seconds(random, 240));
            machine
        }));
        let passing = [
            Turn::Refuse("RequestLimitExceeded"),
            Turn::Refuse("InternalError"),
            Turn::CutAfter,
            Turn::CutBefore,
            Turn::NotSent,
            Turn::Natural,
        ];
        ec2.with(|world| {
            let pick = |random: &mut SmallRng| passing.choose(random).unwrap().clone();
            world.turns = (0..5).map(|_| pick(random)).collect();
            world.looks = (0..5).map(|_| pick(random)).collect();
        });
        let ids = super::all(&ec2);
        let outcomes = ask(&ec2, verb, &ids, seed).await;
        for outcome in outcomes {
            assert_eq!(
                outcome.code,
                OutcomeCode::Done,
                "schedule {seed}: {outcome:?}"
            );
        }
    }
}
