//! The walk of `docs/deploy.md` on moto: every block of commands that is marked so, in order, as it is written there.
//!
//! With `SKILIFT_DEPLOY_WALK=FILE` what was run and said is written to FILE, which is how `docs/deploy-walk.md` is made.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use skilift_servers::{MotoServer, RabbitOptions, RabbitServer, RedisOptions, RedisServer};
use tempfile::TempDir;
use tokio::process::Command;

use crate::machines::run_machines;
use crate::operator::Operator;
use crate::scale_ec2::{TYPES, look, prices_of};
use crate::system::counting_at_once;

/// The name of the stack in the document.
const STACK: &str = "skilift";
/// Sections that are not walked: the first starts a moto of its own, and moto cannot delete a network that instances were in.
const LEFT_OUT: [&str; 2] = ["Rehearse it", "Delete the stack"];

/// The beginning of the record.
const HEADING: &str = "# The walk of deploy.md, recorded

What the commands of [deploy.md](deploy.md) that are marked as run on moto printed there, in their order.
A test runs them (`cli/tests/it/deploy_walk.rs`) and writes this file. For each instance that moto shows as running, a node runs beside it.
Prices are made up: 0.25 USD per hour for every type.

";

/// The blocks of the document that are marked as run on moto, each with its section.
fn blocks() -> Vec<(String, String)> {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let text = std::fs::read_to_string(root.join("docs/deploy.md")).unwrap();
    let (mut section, mut found) = (String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        if line != "```sh" {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if block[0].starts_with("# run on moto") {
            found.push((section.clone(), block[1..].join("\n")));
        }
    }
    found
}

/// A shell in which variables of one block are there for the next.
struct Shell {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    /// What was run and said.
    record: String,
}

impl Shell {
    /// Runs a block, which must succeed. Only what is `shown` is recorded.
    async fn run(&mut self, block: &str, is_shown: bool) {
        let script = format!(
            "exec 2>&1\nset -euo pipefail\n. ./variables\n{block}\ndeclare -p image certificate url sum >variables 2>/dev/null || true\n"
        );
        let ran = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{block}\n{said}");
        if is_shown {
            let said = said.replace(self.folder.to_str().unwrap(), "~/skilift");
            let commands = block.replace('\n', "\n> ").replace("\n> aws", "\n$ aws");
            let commands = commands.replace("\n> skictl", "\n$ skictl");
            let commands = commands.replace("\n> url=", "\n$ url=");
            write!(
                self.record,
                "```console\n$ {commands}\n{}\n```\n\n",
                said.trim_end()
            )
            .unwrap();
        }
    }
}

/// What a person writes to `parameters.json`.
fn parameters(workers: usize) -> String {
    let zones = ["a", "b", "c"].map(|zone| format!("{}{zone}", MotoServer::REGION));
    format!(
        r#"cat >parameters.json <<END
[
  {{"ParameterKey": "Zones", "ParameterValue": "{}"}},
  {{"ParameterKey": "KeyName", "ParameterValue": "skilift"}},
  {{"ParameterKey": "CertificateArn", "ParameterValue": "$certificate"}},
  {{"ParameterKey": "BinaryUrl", "ParameterValue": "https://releases.example.com/skictl"}},
  {{"ParameterKey": "BinarySha256", "ParameterValue": "{}"}},
  {{"ParameterKey": "WorkerNodes", "ParameterValue": "{workers}"}}
]
END"#,
        zones.join(","),
        "0".repeat(64)
    )
}

#[tokio::test]
async fn the_commands_of_the_document_lead_to_a_stack_that_scales() {
    let home = TempDir::new().unwrap();
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..");
    symlink(
        root.canonicalize().unwrap().join("infra"),
        home.path().join("infra"),
    )
    .unwrap();
    // In place of the binary: moto only keeps it.
    let built = home.path().join(".cache/skilift/target/release");
    std::fs::create_dir_all(&built).unwrap();
    std::fs::write(built.join("skictl"), "in place of the binary").unwrap();
    std::fs::write(
        home.path().join("variables"),
        "image= certificate= url= sum=\n",
    )
    .unwrap();

    let (rabbit, redis, moto) = tokio::join!(
        RabbitServer::start(counting_at_once(RabbitOptions::default())),
        RedisServer::start(RedisOptions::default()),
        MotoServer::start()
    );
    let (rabbit, redis, moto) = (rabbit.unwrap(), redis.unwrap(), Arc::new(moto.unwrap()));
    let servers = (rabbit.amqp_url(), redis.url());
    let prices = home.path().join("prices.toml");
    std::fs::write(&prices, prices_of(MotoServer::REGION, &TYPES)).unwrap();
    let console = [
        "--ec2-endpoint-url",
        &moto.url(),
        "--price-file",
        prices.to_str().unwrap(),
    ];
    let aws = [
        ("AWS_REGION", MotoServer::REGION),
        ("AWS_ACCESS_KEY_ID", "simulated"),
        ("AWS_SECRET_ACCESS_KEY", "simulated"),
    ];
    let operator = Operator::on(STACK, servers.clone(), &console, &aws).await;

    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"),
        Into::into,
    );
    let skictl = Path::new(env!("CARGO_BIN_EXE_skictl")).parent().unwrap();
    let path = [
        cache.join("skilift/venv/bin").display().to_string(),
        skictl.display().to_string(),
        std::env::var_os("PATH").unwrap().into_string().unwrap(),
    ];
    let mut environment: Vec<(&str, String)> =
        aws.map(|(name, value)| (name, value.to_owned())).into();
    environment.extend([
        ("AWS_ENDPOINT_URL", moto.url()),
        ("AWS_DEFAULT_REGION", MotoServer::REGION.to_owned()),
        ("AWS_PAGER", String::new()),
        ("HOME", home.path().display().to_string()),
        ("PATH", path.join(":")),
        ("SKI_SERVER", operator.url.clone()),
        (
            "SKI_TOKEN_FILE",
            operator.token_file().display().to_string(),
        ),
    ]);
    let mut shell = Shell {
        folder: home.path().to_owned(),
        environment,
        record: String::new(),
    };
    let image = "image=$(aws ec2 describe-images --owners amazon --query 'Images[0].ImageId' --output text)";
    shell.run(image, false).await;
    let seen = Arc::clone(&moto);
    let _running = run_machines(move || look(Arc::clone(&seen)), home.path(), STACK, servers);

    let mut section = String::new();
    let mut walked = 0;
    for (of, block) in blocks() {
        if LEFT_OUT.contains(&&*of) {
            continue;
        }
        if of != section {
            write!(shell.record, "## {of}\n\n").unwrap();
            section = of;
        }
        if block.contains("create-stack") {
            shell.run(&parameters(2), false).await;
        }
        if block.contains("skictl ec2 list") {
            let all_heard = |seen: &Value| seen["nodes"].as_array().unwrap().len() == 4;
            operator.waits_for(&["nodes"], all_heard).await;
            let listed = |seen: &Value| seen["instances"].as_array().unwrap().len() > 4;
            operator.waits_for(&["ec2", "list"], listed).await;
        }
        if block.contains("update-stack") {
            shell.run(&parameters(3), false).await;
        }
        shell.run(&block, true).await;
        walked += 1;
    }
    assert!(walked >= 9, "{walked}");
    let running = |seen: &Value| {
        let instances = seen["instances"].as_array().unwrap().iter();
        let workers = instances.filter(|one| one["role"] == "worker" && one["state"] == "running");
        workers.count() == 1
    };
    operator.waits_for(&["ec2", "list"], running).await;
    if let Some(file) = std::env::var_os("SKILIFT_DEPLOY_WALK") {
        std::fs::write(file, HEADING.to_owned() + shell.record.trim_end() + "\n").unwrap();
    }
}
