//! [`Ec2Fleet`] and the SDK it is made of, over the wire: with an EC2 that goes wrong when it is told to, and with moto.
//!
//! The pace is the real one. What takes many minutes of it, as the limit of a start, is a matter of the tests in the crate.

mod attempts;
mod moto;
mod paging;
mod refusals;
mod states;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use skilift_ec2::{Ec2Fleet, ROLE_TAG, STACK_TAG};
use skilift_fleet::Fleet as _;
use skilift_fleet::instance::InstanceId;
use skilift_fleet::outcome::{Outcome, OutcomeCode, Verb};
use skilift_servers::{
    Ec2Action, Ec2Answer, Ec2Call, Ec2Instance, Ec2State, Ec2Stub, Ec2Timings, assert_aws_of_nobody,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The stack of the instances.
const STACK: &str = "alps";

/// How long a case may take. The waits of the slowest, throttling without an end, come to at most 71 seconds.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// A test within a test.
type Case = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs cases at the same time, and names all that failed. They sleep for most of their seconds, and tests as such run only so many
/// at once as there are processors.
async fn run_at_once(cases: impl IntoIterator<Item = (&'static str, Case)>) {
    let mut running = JoinSet::new();
    let names: HashMap<_, _> = cases
        .into_iter()
        .map(|(name, case)| {
            let limited = async move {
                let ended = timeout(CASE_LIMIT, case).await;
                ended.unwrap_or_else(|_| panic!("{name} does not end"));
            };
            (running.spawn(limited).id(), name)
        })
        .collect();
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next_with_id().await {
        failed.extend(ended.err().map(|error| names[&error.id()]));
    }
    assert!(failed.is_empty(), "these failed: {}", failed.join(", "));
}

/// Runs async functions as cases, at the same time.
macro_rules! at_once {
    ($($case:ident),+ $(,)?) => {
        $crate::run_at_once([$((stringify!($case), Box::pin($case()) as $crate::Case)),+]).await
    };
}
use at_once;

/// A fleet, and the EC2 that it asks.
struct Wire {
    ec2: Ec2Stub,
    fleet: Ec2Fleet,
    /// What was told while something was done.
    told: Mutex<Vec<String>>,
}

impl Wire {
    async fn with(instances: impl IntoIterator<Item = Ec2Instance>) -> Self {
        Self::timed(Ec2Timings::default(), instances).await
    }

    async fn timed(timings: Ec2Timings, instances: impl IntoIterator<Item = Ec2Instance>) -> Self {
        assert_aws_of_nobody();
        let ec2 = Ec2Stub::start(timings).await.unwrap();
        for instance in instances {
            ec2.put(instance);
        }
        let fleet = Ec2Fleet::new(STACK, Some(ec2.url()));
        Self {
            ec2,
            fleet,
            told: Mutex::default(),
        }
    }

    /// Has something done, and makes sure of what holds whatever happens: one outcome for each id, and nothing done twice.
    async fn ask(&self, verb: Verb, ids: &[String]) -> Vec<Outcome> {
        let ids: Vec<_> = ids.iter().map(InstanceId::new).collect();
        let progress = |id: &InstanceId, how: String| {
            assert!(ids.contains(id));
            self.told.lock().unwrap().push(how);
        };
        let before = self.ec2.calls().len();
        let outcomes = match verb {
            Verb::Start => self.fleet.start(&ids, &progress).await,
            Verb::Stop => self.fleet.stop(&ids, &progress).await,
        };
        let of: Vec<_> = outcomes.iter().map(|outcome| outcome.id.clone()).collect();
        assert_eq!(of, ids, "one outcome for each");

        let calls = self.ec2.calls().split_off(before);
        for id in ids.iter().map(InstanceId::as_str) {
            let effects = calls.iter().flat_map(|call| &call.changed);
            let effects = effects.filter(|changed| *changed == id).count();
            assert!(effects <= 1, "{id} was changed {effects} times");
            let is_change = |call: &&Ec2Call| action(verb) == call.action && !call.dry_run;
            let mut naming = calls.iter().filter(is_change);
            let accepted = naming
                .by_ref()
                .find(|call| call.answer == Ec2Answer::Done && call.ids.iter().any(|it| it == id));
            let again = naming.any(|call| call.ids.iter().any(|it| it == id));
            assert!(
                accepted.is_none() || !again,
                "{id} was called again after EC2 had accepted it"
            );
        }
        outcomes
    }

    /// What comes of instance number one.
    async fn ask_one(&self, verb: Verb) -> Outcome {
        self.ask(verb, &[id(1)]).await.remove(0)
    }

    /// The calls that were to change something.
    fn changes(&self) -> Vec<Ec2Call> {
        let mut calls = self.ec2.calls();
        calls.retain(|call| {
            let verbs = [Verb::Start, Verb::Stop];
            verbs.iter().any(|verb| action(*verb) == call.action) && !call.dry_run
        });
        calls
    }

    fn state(&self, number: u32) -> Ec2State {
        self.ec2.instance(&id(number)).unwrap().state
    }

    fn was_told(&self, what: &str) -> bool {
        self.told
            .lock()
            .unwrap()
            .iter()
            .any(|told| told.contains(what))
    }

    /// Waits until EC2 has got a call.
    async fn until_asked(&self, action: &str) {
        while !self.ec2.calls().iter().any(|call| call.action == action) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "StartInstances",
        Verb::Stop => "StopInstances",
    }
}

/// The same, as faults name it.
fn change(verb: Verb) -> Ec2Action {
    match verb {
        Verb::Start => Ec2Action::StartInstances,
        Verb::Stop => Ec2Action::StopInstances,
    }
}

fn id(number: u32) -> String {
    format!("i-{number:017x}")
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(id).collect()
}

/// A worker of the stack.
fn worker(number: u32, state: Ec2State) -> Ec2Instance {
    Ec2Instance::new(id(number), state)
        .tag(STACK_TAG, STACK)
        .tag(ROLE_TAG, "worker")
}

/// Worker number one, in the state that this verb is for.
fn ready_for(verb: Verb) -> Ec2Instance {
    match verb {
        Verb::Start => worker(1, Ec2State::Stopped),
        Verb::Stop => worker(1, Ec2State::Running),
    }
}

fn codes(outcomes: &[Outcome]) -> Vec<OutcomeCode> {
    outcomes.iter().map(|outcome| outcome.code).collect()
}
