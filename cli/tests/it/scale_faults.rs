//! `skictl ec2` and `scale` when EC2 refuses: what an operator and a script are told of it.

use std::sync::Arc;

use serde_json::Value;
use skilift_servers::{
    Ec2Action, Ec2Fault, Ec2Instance, Ec2State, Ec2Stub, Ec2Timings, RabbitOptions, RabbitServer,
    RedisOptions, RedisServer,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::machines::{Machine, run_machines};
use crate::operator::{CommandOutput, Operator};
use crate::system::counting_at_once;

const STACK: &str = "dolomites";

/// Workers of a stack: the first runs, the others are stopped; every second one is in another zone.
struct Stack {
    ec2: Arc<Ec2Stub>,
    operator: Operator,
    _running: JoinSet<()>,
    _servers: (RabbitServer, RedisServer),
    _folder: TempDir,
}

fn id(number: usize) -> String {
    format!("i-{number:017x}")
}

impl Stack {
    async fn start(workers: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let (rabbit, redis, ec2) = tokio::join!(
            RabbitServer::start(counting_at_once(RabbitOptions::default())),
            RedisServer::start(RedisOptions::default()),
            Ec2Stub::start(Ec2Timings::default())
        );
        let (rabbit, redis, ec2) = (rabbit.unwrap(), redis.unwrap(), Arc::new(ec2.unwrap()));
        for number in 0..workers {
            let state = match number {
                0 => Ec2State::Running,
                _ => Ec2State::Stopped,
            };
            let instance = Ec2Instance::new(id(number), state)
                .tag("skilift:stack", STACK)
                .tag("skilift:role", "worker");
            let zone = ["eu-central-1a", "eu-central-1b"][number % 2].to_owned();
            ec2.put(Ec2Instance { zone, ..instance });
        }
        let servers = (rabbit.amqp_url(), redis.url());
        let seen = Arc::clone(&ec2);
        let look = move || {
            let instances = (0..workers).filter_map(|number| seen.instance(&id(number)));
            let machines = instances.map(|instance| Machine {
                runs: instance.state == Ec2State::Running,
                role: "worker".to_owned(),
                id: instance.id,
            });
            std::future::ready(machines.collect())
        };
        let running = run_machines(look, folder.path(), STACK, servers.clone());
        let arguments = ["--ec2-endpoint-url", &ec2.url()];
        let environment = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "simulated"),
            ("AWS_SECRET_ACCESS_KEY", "simulated"),
        ];
        let operator = Operator::on(STACK, servers, &arguments, &environment).await;
        let heard = |seen: &Value| seen["nodes"].as_array().unwrap().len() == 1;
        operator.waits_for(&["nodes"], heard).await;
        let listed = |seen: &Value| seen["instances"].as_array().unwrap().len() == workers;
        operator.waits_for(&["ec2", "list"], listed).await;
        let most = format!("--worker-max={}", workers + 1);
        let bounds = ["settings", "set", "fleet", &most, "--yes"];
        operator.does(&bounds).await;
        Self {
            ec2,
            operator,
            _running: running,
            _servers: (rabbit, redis),
            _folder: folder,
        }
    }

    /// What a command comes to that waits, as JSON and as people read it, which is shown when a test fails.
    async fn says(&self, line: &str) -> (i32, Value) {
        let words: Vec<&str> = line.split(' ').collect();
        let said = self.run(&[&*words, &["--output", "json"]].concat()).await;
        assert!(!said.output.is_empty(), "{line}: {said:?}");
        (said.code, said.json())
    }

    async fn run(&self, words: &[&str]) -> CommandOutput {
        let said = self
            .operator
            .skictl(&[words, &["--yes", "--wait"]].concat())
            .await;
        eprintln!(
            "$ skictl {}\n{}{}",
            words.join(" "),
            said.messages,
            said.output
        );
        eprintln!("[exit code {}]\n", said.code);
        said
    }

    fn is_running(&self, number: usize) -> bool {
        self.ec2.instance(&id(number)).unwrap().state == Ec2State::Running
    }

    /// How often a machine was truly asked to start.
    fn starts(&self) -> usize {
        let calls = self.ec2.calls();
        let starts = calls.iter().filter(|call| call.action == "StartInstances");
        starts.map(|call| call.changed.len()).sum()
    }
}

/// The codes of an outcome's steps, and what it says of the first.
fn steps(done: &Value) -> (Vec<&str>, &str) {
    let steps = done["outcome"]["steps"].as_array().unwrap();
    let codes = steps.iter().map(|step| step["code"].as_str().unwrap());
    let first = steps[0]["message"].as_str().unwrap_or_default();
    (codes.collect(), first)
}

#[tokio::test]
async fn each_refusal_of_ec2_has_its_words_and_its_exit_code() {
    let stack = Stack::start(4).await;
    let start = format!("ec2 start {}", id(1));

    stack
        .ec2
        .inject(Ec2Fault::error(Ec2Action::StartInstances, "UnauthorizedOperation").always());
    let (code, refused) = stack.says(&start).await;
    assert_eq!(code, 5, "{refused:#}");
    let why = &refused["refusals"][0];
    assert_eq!(why["code"], "denied", "{refused:#}");
    assert!(
        why["reason"]
            .as_str()
            .unwrap()
            .contains("ec2:StartInstances"),
        "{refused:#}"
    );

    // For ever too often: given up, and nothing was done.
    stack.ec2.clear_faults();
    stack
        .ec2
        .inject(Ec2Fault::error(Ec2Action::StartInstances, "RequestLimitExceeded").always());
    let (code, done) = stack.says(&start).await;
    assert_eq!((code, steps(&done).0), (6, vec!["throttled"]), "{done:#}");
    assert!(!stack.is_running(1));

    // No room for this one, and it was meant.
    stack.ec2.clear_faults();
    stack
        .ec2
        .limit_capacity("c7g.large", "eu-central-1b", Some(0));
    let (code, done) = stack.says(&start).await;
    assert_eq!((code, steps(&done).0), (6, vec!["no_capacity"]), "{done:#}");
    assert_eq!(stack.starts(), 0);

    // A number was meant: the next one, in the zone that has room.
    let (code, done) = stack.says("scale worker=2").await;
    let codes = vec!["no_capacity", "succeeded"];
    assert_eq!((code, steps(&done).0), (0, codes), "{done:#}");
    let instead = &done["outcome"]["steps"][0]["started_instead"];
    assert_eq!(*instead, id(2), "{done:#}");
    assert!(stack.is_running(2) && stack.starts() == 1);

    // It fell back after EC2 had taken it.
    stack.ec2.limit_capacity("c7g.large", "eu-central-1b", None);
    stack
        .ec2
        .inject(Ec2Fault::falls_back("Client.InvalidSnapshot.NotFound").always());
    let (code, done) = stack.says(&start).await;
    let (codes, message) = steps(&done);
    assert_eq!((code, codes), (1, vec!["fell_back"]), "{done:#}");
    assert!(
        message.contains("Client.InvalidSnapshot.NotFound"),
        "{done:#}"
    );

    // A few times too often is nothing that an operator hears of.
    stack.ec2.clear_faults();
    let few = Ec2Fault::error(Ec2Action::StartInstances, "RequestLimitExceeded").times(3);
    stack.ec2.inject(few);
    let (code, done) = stack.says(&start).await;
    assert_eq!((code, steps(&done).0), (0, vec!["succeeded"]), "{done:#}");
}

#[tokio::test]
async fn one_bad_id_in_ten_is_one_failure_in_ten() {
    let stack = Stack::start(11).await;
    let bad = Ec2Fault::error(Ec2Action::StartInstances, "IncorrectInstanceState");
    stack.ec2.inject(bad.on(&id(7)).always());
    let ids: Vec<String> = (1..=10).map(id).collect();
    let (code, done) = stack.says(&format!("ec2 start {}", ids.join(" "))).await;
    assert_eq!(code, 3, "{done:#}");
    let steps = done["outcome"]["steps"].as_array().unwrap();
    for step in steps {
        let is_bad = step["action"]["target"] == *id(7);
        let expected = if is_bad { "wrong_state" } else { "succeeded" };
        assert_eq!(step["code"], expected, "{step:#}");
    }
    assert_eq!((steps.len(), stack.starts()), (10, 9));
    assert!((1..=10).all(|number| stack.is_running(number) != (number == 7)));
}
