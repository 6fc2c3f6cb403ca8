//! An operator at a terminal: a console, and `skictl` against it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use skilift_servers::free_port;
use tempfile::TempDir;
use tokio::process::Command;

use crate::service::Service;
use crate::system::System;

/// How long anything that an operator waits for may take.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The same for a command: a call that EC2 throttles is tried for up to 71 s.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);

pub(crate) struct Operator {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The console's own process, where it has one.
    pub(crate) console: Option<Service>,
    token_file: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) messages: String,
}

impl CommandOutput {
    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Operator {
    /// Starts a console beside an API and workers.
    pub(crate) async fn beside(system: &System) -> Self {
        let stack = system.stack.to_string();
        let servers = (system.rabbit.amqp_url(), system.redis.url());
        let archive = system.archive();
        let archive = ["--archive", archive.to_str().unwrap()];
        Self::on(&stack, servers, &archive, &[]).await
    }

    /// Starts a console on servers, with further arguments and environment.
    pub(crate) async fn on(
        stack: &str,
        (amqp, redis): (String, String),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let data = folder.path().join("data");
        let listen = url.strip_prefix("http://").unwrap();
        let common = [
            "serve",
            "console",
            "--stack",
            stack,
            "--data",
            data.to_str().unwrap(),
            "--console-listen",
            listen,
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let own = [("SKI_AMQP_URL", &*amqp), ("SKI_REDIS_URL", &*redis)];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut operator = Self {
            token_file: data.join(format!("token-{stack}")),
            arguments: [&common[..], arguments]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            environment: own.iter().chain(environment).map(owned).collect(),
            url,
            console: None,
            folder,
        };
        operator.start_console_again().await;
        operator
    }

    /// The file with the token of the console.
    pub(crate) fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// The operator of a process that has its console inside.
    pub(crate) fn of_up(url: String, data: &Path) -> Self {
        Self {
            url,
            console: None,
            token_file: token_in(data),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: TempDir::new().unwrap(),
        }
    }

    /// Starts the console on the folder and the port that it had.
    pub(crate) async fn start_console_again(&mut self) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut console = Service::start(self.folder.path(), "console", &arguments, &environment);
        console.logged_after("health and metrics on ").await;
        self.console = Some(console);
        // It answers once it has looked at everything for the first time.
        let began = Instant::now();
        while self.skictl(&["nodes"]).await.code != 0 {
            assert!(began.elapsed() < TIMEOUT, "the console does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The data directory of a console of its own.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The token of the console's own process.
    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(&self.token_file).unwrap();
        text.trim().to_owned()
    }

    /// `skictl` without a terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
        command
            .args(arguments)
            .args(["--server", &self.url, "--token-file"])
            .arg(&self.token_file)
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env_remove("SKI_AMQP_URL")
            .env_remove("SKI_REDIS_URL")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs `skictl` without a terminal.
    pub(crate) async fn skictl(&self, arguments: &[&str]) -> CommandOutput {
        let output = self.command(arguments).output();
        let output = tokio::time::timeout(COMMAND_TIMEOUT, output).await;
        let output = output.expect("skictl ends").unwrap();
        CommandOutput {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            messages: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed.
    pub(crate) async fn does(&self, arguments: &[&str]) -> CommandOutput {
        let said = self.skictl(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said
    }

    /// What a command shows as JSON.
    pub(crate) async fn sees(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        self.does(&arguments).await.json()
    }

    /// Looks until what is shown is as it should be, and says how long that took.
    pub(crate) async fn waits_for(
        &self,
        arguments: &[&str],
        is_so: impl Fn(&Value) -> bool,
    ) -> (Value, Duration) {
        let began = Instant::now();
        loop {
            let seen = self.sees(arguments).await;
            if is_so(&seen) {
                return (seen, began.elapsed());
            }
            assert!(
                began.elapsed() < TIMEOUT,
                "{arguments:?} still shows {seen:#}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the books are closed, with nothing lost.
    pub(crate) async fn closes_the_books(&self) -> Value {
        let closed = |queue: &Value| {
            let books = &queue["reconciliation"];
            assert_ne!(books["verdict"], "loss", "{books:#}");
            books["verdict"] == "balanced" && books["accepted"]["value"].as_u64() > Some(0)
        };
        let (queue, _) = self.waits_for(&["queue"], closed).await;
        let books = queue["reconciliation"].clone();
        let of = |term: &str| books[term]["value"].as_i64().unwrap();
        assert_eq!(
            of("settled") + of("replayed") + of("foreign"),
            of("applied") + of("duplicate") + of("dead_letters"),
            "{books:#}"
        );
        // A message may be stored although its rides were answered 503.
        assert!(of("accepted") <= of("settled"), "{books:#}");
        books
    }
}

/// The token file of the one console of a data directory: with the stack's name where that is on servers.
fn token_in(data: &Path) -> PathBuf {
    let files = std::fs::read_dir(data).unwrap().map(|file| file.unwrap());
    let mut tokens = files.filter(|file| file.file_name().to_string_lossy().starts_with("token"));
    tokens.next().unwrap().path()
}

/// The nodes of one role.
pub(crate) fn of_role<'a>(nodes: &'a Value, role: &'a str) -> impl Iterator<Item = &'a Value> {
    let nodes = nodes["nodes"].as_array().unwrap().iter();
    nodes.filter(move |node| node["role"] == role)
}

/// Whether there are nodes, and every one runs what it shall.
pub(crate) fn all_follow(nodes: &Value) -> bool {
    let nodes = nodes["nodes"].as_array().unwrap();
    let follows = |node: &Value| node["desired"] == node["actual"];
    !nodes.is_empty() && nodes.iter().all(follows)
}
