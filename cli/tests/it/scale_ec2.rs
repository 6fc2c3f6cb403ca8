//! `skictl ec2`, `scale` and `cost` over a stack that the project's own template made in moto.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use skilift_servers::{
    Ec2Instance, Ec2State, MotoServer, RabbitOptions, RabbitServer, RedisOptions, RedisServer,
};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::machines::{Machine, run_machines};
use crate::operator::Operator;
use crate::service::after;
use crate::system::counting_at_once;
use crate::tune::SHORT;

const STACK: &str = "alps";
/// Types of the template's instances.
pub(crate) const TYPES: [&str; 5] = [
    "c7g.large",
    "c7g.medium",
    "m7g.large",
    "r7g.large",
    "t4g.small",
];
/// Price of an instance of any type.
const USD_PER_H: f64 = 0.25;

/// A stack in moto, and what runs on its machines.
struct Stack {
    moto: Arc<MotoServer>,
    /// By role, in the order of their names.
    ids: BTreeMap<String, Vec<String>>,
    operator: Operator,
    /// What runs on the machines, for as long as this is there.
    _running: JoinSet<()>,
    _servers: (RabbitServer, RedisServer),
    folder: TempDir,
}

impl Stack {
    /// With so many API nodes and workers, of which so many run. The price of the console's instance is unknown.
    async fn start(api: usize, workers: usize, up: usize) -> Self {
        Self::with_prices(api, workers, up, &TYPES[..4]).await
    }

    /// The same with the prices of these types.
    async fn with_prices(api: usize, workers: usize, up: usize, priced: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let (rabbit, redis, moto) = tokio::join!(
            RabbitServer::start(counting_at_once(RabbitOptions::default())),
            RedisServer::start(RedisOptions::default()),
            MotoServer::start()
        );
        let (rabbit, redis, moto) = (rabbit.unwrap(), redis.unwrap(), Arc::new(moto.unwrap()));
        let ids = deploy(&moto, api, workers).await;
        moto.stop_instances(&ids["worker"][up..]).await.unwrap();
        let servers = (rabbit.amqp_url(), redis.url());
        let seen = Arc::clone(&moto);
        let running = run_machines(
            move || look(Arc::clone(&seen)),
            folder.path(),
            STACK,
            servers.clone(),
        );
        let prices = folder.path().join("prices.toml");
        std::fs::write(&prices, prices_of(MotoServer::REGION, priced)).unwrap();
        let arguments = [
            "--ec2-endpoint-url",
            &moto.url(),
            "--price-file",
            prices.to_str().unwrap(),
        ];
        let environment = [
            ("AWS_REGION", MotoServer::REGION),
            ("AWS_ACCESS_KEY_ID", "simulated"),
            ("AWS_SECRET_ACCESS_KEY", "simulated"),
        ];
        let operator = Operator::on(STACK, servers, &arguments, &environment).await;
        let all_heard = |seen: &Value| seen["nodes"].as_array().unwrap().len() == api + up;
        operator.waits_for(&["nodes"], all_heard).await;
        let listed = |seen: &Value| !seen["instances"].as_array().unwrap().is_empty();
        operator.waits_for(&["ec2", "list"], listed).await;
        Self {
            moto,
            ids,
            operator,
            _running: running,
            _servers: (rabbit, redis),
            folder,
        }
    }

    async fn state(&self, id: &str) -> Ec2State {
        let all = self.moto.instances().await.unwrap();
        all.iter().find(|instance| instance.id == id).unwrap().state
    }

    /// Where the only API node listens.
    async fn target(&self) -> String {
        let log = self
            .folder
            .path()
            .join(format!("{}.log", self.ids["api"][0]));
        loop {
            let text = tokio::fs::read_to_string(&log).await.unwrap_or_default();
            if let Some(address) = text.lines().find_map(|line| after(line, "public API on ")) {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn says(&self, line: &str) -> (i32, Value) {
        let words: Vec<&str> = line.split(' ').chain(["--output", "json"]).collect();
        let said = self.operator.skictl(&words).await;
        assert!(!said.output.is_empty(), "{line}: {said:?}");
        (said.code, said.json())
    }
}

/// Makes the stack from the template.
async fn deploy(moto: &MotoServer, api: usize, workers: usize) -> BTreeMap<String, Vec<String>> {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"),
        Into::into,
    );
    let output = Command::new(cache.join("skilift/venv/bin/python"))
        .arg(root.join("infra/aws/deploy-to-moto"))
        .args([&moto.url(), STACK])
        .args([format!("ApiNodes={api}"), format!("WorkerNodes={workers}")])
        .env("AWS_REGION", MotoServer::REGION)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("infra/install-test-tools moto installs what this needs");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What runs of moto's instances. An answer that is missing counts as none, and changes nothing.
pub(crate) async fn look(moto: Arc<MotoServer>) -> Vec<Machine> {
    let instances = moto.instances().await.unwrap_or_default();
    let machine = |mut instance: Ec2Instance| Machine {
        role: instance.tags.remove("skilift:role").unwrap_or_default(),
        runs: instance.state == Ec2State::Running,
        id: instance.id,
    };
    instances.into_iter().map(machine).collect()
}

pub(crate) fn prices_of(region: &str, types: &[&str]) -> String {
    let price = |of: &&str| format!("{of:?} = {USD_PER_H}\n");
    let prices: String = types.iter().map(price).collect();
    format!(
        "currency = \"USD\"\ndate = \"2026-02-03\"\nsource = \"a test\"\n[regions.{region:?}]\n{prices}"
    )
}

#[tokio::test]
async fn a_stack_of_the_template_is_listed_scaled_priced_and_audited() {
    let stack = Stack::start(1, 4, 1).await;
    let workers = &stack.ids["worker"];
    let (code, listed) = stack.says("ec2 list").await;
    assert_eq!(
        (code, &listed["kind"], &listed["region"]),
        (0, &"ec2".into(), &MotoServer::REGION.into())
    );
    let instances = listed["instances"].as_array().unwrap();
    let roles: Vec<&str> = instances
        .iter()
        .map(|one| one["role"].as_str().unwrap())
        .collect();
    let expected = [
        "api", "broker", "console", "redis", "worker", "worker", "worker", "worker",
    ];
    assert_eq!(roles, expected);
    let first = instances
        .iter()
        .find(|one| one["id"] == *workers[0])
        .unwrap();
    assert_eq!(first["nodes"].as_array().unwrap().len(), 1, "{first:#}");
    // No price is made up.
    let console = instances
        .iter()
        .find(|one| one["role"] == "console")
        .unwrap();
    assert!(
        console["price_error"]
            .as_str()
            .unwrap()
            .contains("no price for t4g.small"),
        "{console:#}"
    );

    let (code, plan) = stack.says("scale worker=3 --threads 32 --dry-run").await;
    assert_eq!((code, &plan["danger"]), (0, &"moderate".into()), "{plan:#}");
    assert_eq!(plan["cost"]["before_usd_per_h"]["value"], 0.5, "{plan:#}");
    assert_eq!(plan["cost"]["after_usd_per_h"]["value"], 1.0, "{plan:#}");
    assert_eq!(plan["cost"]["prices_date"], "2026-02-03");
    assert!(
        plan["effects"]
            .to_string()
            .contains("does not guarantee capacity"),
        "{plan:#}"
    );
    assert_eq!(
        stack.state(&workers[1]).await,
        Ec2State::Stopped,
        "a dry run changes nothing"
    );

    let (code, done) = stack.says("scale worker=3 --threads 32 --yes --wait").await;
    assert_eq!(
        (code, &done["outcome"]["result"]),
        (0, &"succeeded".into()),
        "{done:#}"
    );
    // Each in a zone of its own.
    let mut zones: Vec<&str> = done["actions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|action| action["instance"]["zone"].as_str())
        .collect();
    zones.sort_unstable();
    zones.dedup();
    assert_eq!(zones.len(), 2, "{done:#}");
    let (_, nodes) = stack.says("nodes").await;
    let nodes = nodes["nodes"].as_array().unwrap();
    let running = nodes
        .iter()
        .filter(|node| node["role"] == "worker" && node["threads"] == 32);
    assert_eq!(running.count(), 3, "{nodes:#?}");

    let (_, cost) = stack.says("cost").await;
    assert_eq!(
        (&cost["has_broker"], &cost["has_redis"]),
        (&true.into(), &true.into()),
        "{cost:#}"
    );
    assert_eq!(cost["usd_per_h"]["value"], 6.0 * 0.25, "{cost:#}");
    let unknown = cost["usd_per_h"]["error"].as_str().unwrap();
    assert!(
        unknown.contains("lower bound") && unknown.contains("t4g.small"),
        "{cost:#}"
    );

    // In again: drained, then stopped; the zone that has the most first.
    let (code, done) = stack.says("scale worker=2 --yes --wait").await;
    assert_eq!(
        (code, &done["outcome"]["result"]),
        (0, &"succeeded".into()),
        "{done:#}"
    );
    let (_, audit) = stack.says("audit --action apply --limit 1").await;
    let line = &audit["entries"][0];
    assert_eq!(
        (&line["target"], &line["outcome"]),
        (&"scale".into(), &"succeeded".into()),
        "{line:#}"
    );
    assert!(
        line["after"]
            .as_str()
            .unwrap()
            .contains("drained, then stopped"),
        "{line:#}"
    );
}

#[tokio::test]
async fn what_is_not_ours_or_not_there_or_not_allowed_is_told_apart() {
    let stack = Stack::start(1, 2, 1).await;
    let (second, broker) = (&stack.ids["worker"][1], &stack.ids["broker"][0]);
    let (code, plan) = stack.says(&format!("ec2 stop {broker} --yes")).await;
    assert_eq!(code, 4, "{plan:#}");
    assert!(plan["refusals"].to_string().contains("broker"), "{plan:#}");
    assert_eq!(stack.state(broker).await, Ec2State::Running);

    let foreign = stack
        .moto
        .run_instances(
            1,
            &[("skilift:stack", "another"), ("skilift:role", "worker")],
            "c7g.large",
            "eu-central-1a",
        )
        .await
        .unwrap();
    let line = format!(
        "ec2 start {second} {} i-0badc0de0badc0de0 i-zzz --yes --wait",
        foreign[0]
    );
    let (code, done) = stack.says(&line).await;
    assert_eq!(code, 3, "{done:#}");
    let steps = done["outcome"]["steps"].as_array().unwrap();
    let codes: Vec<&str> = steps
        .iter()
        .map(|step| step["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["succeeded", "not_ours", "not_found", "bad_id"],
        "{done:#}"
    );
    let (code, done) = stack
        .says("ec2 stop i-0badc0de0badc0de0 --yes --wait")
        .await;
    assert_eq!(code, 4, "{done:#}");
}

#[tokio::test]
async fn a_sweep_starts_and_stops_instances_and_the_money_adds_up() {
    let stack = Stack::with_prices(1, 2, 1, &TYPES).await;
    let (target, workers) = (stack.target().await, &stack.ids["worker"]);
    let line = format!("tune run --workers 1,2 --target {target} {SHORT} --max-spend 50");
    let (code, sweep) = stack.says(&line).await;
    assert_eq!(
        (code, &sweep["state"]),
        (0, &"finished".into()),
        "{sweep:#}"
    );
    let number = |field: &Value| field.as_f64().unwrap();
    let points = sweep["points"].as_array().unwrap();
    assert_eq!(points.len(), 2, "{sweep:#}");
    let mut spent = 0.0;
    for point in points {
        assert_eq!(point["failed"], Value::Null, "{point:#}");
        let usd = number(&point["usd_per_h"]);
        // Besides the workers, instances of four other roles run.
        let running = number(&point["config"]["workers"]) + 4.0;
        assert!((usd - running * USD_PER_H).abs() < 1e-9, "{point:#}");
        let million = usd / (number(&point["stored_per_s"]["mean"]) * 3_600.0) * 1e6;
        let shown = number(&point["usd_per_million"]);
        assert!((shown / million - 1.0).abs() < 1e-6, "{point:#}");
        let runs = point["runs"].as_array().unwrap().iter();
        spent += runs.map(|run| number(&run["took_s"])).sum::<f64>() / 3_600.0 * usd;
    }
    // An instance that starts or stops in a measurement is not paid for all of it.
    let said = number(&sweep["spent_usd"]);
    assert!((said / spent - 1.0).abs() < 0.4, "{said} {spent} {sweep:#}");
    assert_eq!(sweep["recommendation"]["point"]["workers"], 1, "{sweep:#}");
    let types = sweep["environment"]["instance_types"].to_string();
    assert!(types.contains("worker: c7g."), "{types}");

    // The second worker was started and stopped, and what ran before runs again.
    assert_eq!(stack.state(&workers[0]).await, Ec2State::Running);
    assert_eq!(stack.state(&workers[1]).await, Ec2State::Stopped);
    let (_, audit) = stack.says("audit --action apply --limit 50").await;
    let text = audit.to_string();
    for action in ["start", "stop"] {
        assert!(
            text.contains(&format!("{action}, {}", workers[1])),
            "{text}"
        );
    }

    // What two workers cost, for a load that needs both.
    let rate = points[0]["saturation_per_s"]["mean"]
        .as_f64()
        .unwrap_or(300.0);
    let (code, found) = stack.says(&format!("capacity --rate {}", rate * 0.3)).await;
    assert_eq!(code, 0, "{found:#}");
}
