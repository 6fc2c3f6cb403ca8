//! `skictl rehearse ec2`: failures of EC2 tried on one machine, with the real program and real nodes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use skilift_servers::{RabbitOptions, RabbitServer, RedisOptions, RedisServer};
use tempfile::TempDir;

use crate::operator::{CommandOutput, Operator};
use crate::service::Service;
use crate::system::counting_at_once;

const STACK: &str = "rehearsal";
/// One of three workers runs, each in another zone.
const INSTANCES: &str = r#"
timings = { pending = "200ms", stopping = "200ms", initializing = "200ms", lag = "50ms" }
instances = [
    { role = "worker", type = "c7g.large", count = 3, running = 1, zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] },
]
"#;
/// The second worker's zone is full.
pub(crate) const NO_CAPACITY: &str =
    r#"capacity = [{ type = "c7g.large", zone = "eu-central-1b", free = 0 }]"#;
pub(crate) const DENIED: &str =
    r#"faults = [{ action = "StartInstances", error = "UnauthorizedOperation", always = true }]"#;

/// A rehearsal with nodes, and a console for it.
pub(crate) struct Rehearsal {
    pub(crate) ec2: Service,
    pub(crate) operator: Operator,
    scenario: PathBuf,
    instances: &'static str,
    _servers: (RabbitServer, RedisServer),
    _folder: TempDir,
}

impl Rehearsal {
    pub(crate) async fn start(faults: &str) -> Self {
        Self::of("eu-central-1", INSTANCES, 1, faults).await
    }

    /// In a region, with these instances, of which so many run at the start.
    pub(crate) async fn of(
        region: &str,
        instances: &'static str,
        running: usize,
        faults: &str,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let (rabbit, redis) = tokio::join!(
            RabbitServer::start(counting_at_once(RabbitOptions::default())),
            RedisServer::start(RedisOptions::default())
        );
        let (rabbit, redis) = (rabbit.unwrap(), redis.unwrap());
        let scenario = folder.path().join("faults.toml");
        write(&scenario, instances, faults);
        let config = folder.path().join("skilift.toml");
        let servers = (rabbit.amqp_url(), redis.url());
        let urls = format!("amqp_url = {:?}\nredis_url = {:?}\n", servers.0, servers.1);
        std::fs::write(&config, urls).unwrap();
        let (faults, config) = (scenario.to_str().unwrap(), config.to_str().unwrap());
        let files = ["--faults", faults, "--config", config];
        let arguments = [
            "rehearse",
            "ec2",
            "--listen",
            "127.0.0.1:0",
            "--stack",
            STACK,
        ];
        let all = [&arguments[..], &files].concat();
        let ec2 = Service::start(folder.path(), "rehearsal", &all, &[]);
        let url = served_at(&ec2).await;
        let environment = [
            ("AWS_REGION", region),
            ("AWS_ACCESS_KEY_ID", "rehearsal"),
            ("AWS_SECRET_ACCESS_KEY", "rehearsal"),
        ];
        let console = ["--ec2-endpoint-url", &url];
        let operator = Operator::on(STACK, servers, &console, &environment).await;
        let all = |seen: &Value| seen["nodes"].as_array().unwrap().len() == running;
        operator.waits_for(&["nodes"], all).await;
        Self {
            ec2,
            operator,
            scenario,
            instances,
            _servers: (rabbit, redis),
            _folder: folder,
        }
    }

    /// Has something else go wrong from now on.
    pub(crate) async fn set_faults(&mut self, faults: &str) {
        let before = self.times_read();
        write(&self.scenario, self.instances, faults);
        let began = Instant::now();
        while self.times_read() == before {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{}",
                self.ec2.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn times_read(&self) -> usize {
        let log = self.ec2.log();
        log.matches("faults and capacity").count()
    }

    async fn scale(&self, count: &str) -> (CommandOutput, Value) {
        let all = ["scale", count, "--yes", "--wait", "--output", "json"];
        let said = self.operator.skictl(&all).await;
        assert!(!said.output.is_empty(), "{said:?}");
        let json = said.json();
        (said, json)
    }
}

fn write(file: &Path, instances: &str, faults: &str) {
    std::fs::write(file, format!("{instances}{faults}\n")).unwrap();
}

/// The URL in the banner.
async fn served_at(ec2: &Service) -> String {
    let began = Instant::now();
    loop {
        let output = ec2.output();
        if let Some((_, rest)) = output.split_once("Scripted EC2 at ") {
            return rest.split(". ").next().unwrap().to_owned();
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{output} {}",
            ec2.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn failures_of_ec2_are_rehearsed_with_real_nodes() {
    let mut rehearsal = Rehearsal::start(NO_CAPACITY).await;
    // Zone b has no room: zone c is tried, and its node is up before the plan has succeeded.
    let (said, done) = rehearsal.scale("worker=2").await;
    assert_eq!(said.code, 0, "{done:#} {}", rehearsal.ec2.log());
    let steps = done["outcome"]["steps"].as_array().unwrap();
    let codes: Vec<&str> = steps
        .iter()
        .map(|step| step["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["no_capacity", "succeeded"], "{done:#}");
    let full = "i-00000000000000002: InsufficientInstanceCapacity";
    assert!(rehearsal.ec2.has_logged(full), "{}", rehearsal.ec2.log());

    // Another fault, without starting anything again; and a mistake changes nothing.
    for faults in [DENIED, "faults = [{ action = \"StartInstances\" }]"] {
        rehearsal.set_faults(faults).await;
        let (said, refused) = rehearsal.scale("worker=3").await;
        assert_eq!(said.code, 5, "{refused:#} {}", rehearsal.ec2.log());
    }
    assert!(rehearsal.ec2.has_logged("cannot reload the scenario"));

    // In with a drain, and then the end of all of it.
    let (said, done) = rehearsal.scale("worker=1").await;
    assert_eq!(said.code, 0, "{done:#} {}", rehearsal.ec2.log());
    rehearsal.ec2.drain().await;
}
