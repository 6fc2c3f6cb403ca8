//! `skictl up` on RabbitMQ and Redis: its workers are child processes, which come back, and outlive nobody.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use serde_json::{Value, json};
use skilift_core::stack::StackName;
use skilift_servers::{
    AppendFsync, RabbitOptions, RabbitServer, RedisOptions, RedisServer, free_port,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::load::{Load, Sent};
use crate::operator::Operator;
use crate::proof;
use crate::service::Service;
use crate::system::{counting_at_once, messages_in, reader, wait_until_ready, wait_until_stored};

const USER: &str = "ski";
const PASSWORD: &str = "pw";
/// Longer than anything here takes that is not bounded otherwise.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct UpOnServers {
    rabbit: RabbitServer,
    redis: RedisServer,
    pub(crate) up: Service,
    pub(crate) url: String,
    stack: StackName,
    folder: TempDir,
}

impl UpOnServers {
    pub(crate) async fn start() -> Self {
        let (rabbit, redis) = servers(RedisOptions::default()).await;
        let folder = TempDir::new().unwrap();
        let url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let up = launch(&folder, &url, &rabbit, &redis);
        let mut this = Self {
            rabbit,
            redis,
            up,
            url,
            stack: "crash".parse().unwrap(),
            folder,
        };
        this.wait_until_ready().await;
        this
    }

    pub(crate) async fn start_again(&mut self) {
        self.up = launch(&self.folder, &self.url, &self.rabbit, &self.redis);
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&mut self) {
        self.up.logged_after("health and metrics on ").await;
        wait_until_ready(&self.url, &self.up).await;
    }

    /// Who operates it. Its console has another port after each start.
    pub(crate) async fn operator(&mut self) -> Operator {
        let url = self.up.logged_after("admin API on ").await;
        Operator::of_up(url, &self.folder.path().join("data"))
    }

    /// The processes that this `up` has started for a place, in order.
    fn processes(&self, place: &str) -> Vec<Pid> {
        let started = self
            .up
            .all_logged_after(&format!("{place} starts as process "));
        let pid = |text: String| Pid::from_raw(text.parse().unwrap());
        started.into_iter().map(pid).collect()
    }

    /// Waits until a place has had so many processes and the last one is up; says which it is.
    async fn process(&self, place: &str, number: usize) -> Pid {
        let deadline = Instant::now() + LONG;
        let up = format!("{place} is up,");
        while self.up.all_logged_after(&up).len() < number {
            assert!(Instant::now() < deadline, "{}", self.up.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.processes(place)[number - 1]
    }

    /// What the file says of the children.
    fn places(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("data/children-crash/nodes.json")
    }

    pub(crate) async fn prove(&self, crash: &str, sent: &Sent) {
        wait_until_stored(&self.rabbit, &self.stack, &self.up).await;
        let listed = proof::ask_ride_lists(&self.url, &sent.sent).await;
        let dead = messages_in(&self.rabbit, &self.stack.dead_letter_queue()).await;
        let figures = proof::compare(sent, listed, &reader(&self.redis, &self.stack), dead).await;
        proof::judge(crash, sent, &figures);
    }
}

async fn servers(redis: RedisOptions) -> (RabbitServer, RedisServer) {
    let (rabbit, redis) = tokio::join!(
        RabbitServer::start(counting_at_once(RabbitOptions::default())),
        RedisServer::start(redis)
    );
    let (rabbit, redis) = (rabbit.unwrap(), redis.unwrap());
    add_user(&rabbit, &redis).await;
    (rabbit, redis)
}

/// Adds the users of docs/operations.md, with no more than what is needed, by the commands that stand there.
async fn add_user(rabbit: &RabbitServer, redis: &RedisServer) {
    let document = include_str!("../../../docs/operations.md");
    let (_, section) = document.split_once("## Users and permissions").unwrap();
    let block = section.split("```").nth(1).unwrap();
    let block = block.strip_prefix("sh\n").unwrap().replace("\\\n", " ");
    let block = block.replace("skilift", "crash");
    // As a shell sees it; no quoted word has a space.
    let block = block.replace("PASSWORD", PASSWORD).replace('\'', "");
    let words = |line| str::split(line, '#').next().unwrap().split_whitespace();
    let commands: Vec<Vec<&str>> = block.lines().map(|line| words(line).collect()).collect();
    let [add, permit, user] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    let add = [&add[1..], &[PASSWORD]].concat();
    rabbit.ctl(&add).await.unwrap();
    rabbit.ctl(&permit[1..]).await.unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut acl = redis::cmd(user[1]);
    acl.arg(&user[2..]);
    acl.exec_async(&mut connection).await.unwrap();
}

/// Starts it in a session of its own, as a shell does.
fn launch(folder: &TempDir, url: &str, rabbit: &RabbitServer, redis: &RedisServer) -> Service {
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let settings = file("up.toml", "stack = \"crash\"\nthreads = 3\n");
    let data = folder.path().join("data");
    let arguments = [
        "up",
        "--config",
        &settings,
        "--data",
        data.to_str().unwrap(),
        "--api-listen",
        url.strip_prefix("http://").unwrap(),
        "--metrics-listen",
        "127.0.0.1:0",
        "--amqp-url-file",
        &file(
            "amqp.url",
            &format!("amqp://{USER}:{PASSWORD}@{}/%2f", rabbit.addr()),
        ),
        "--redis-url-file",
        &file(
            "redis.url",
            &format!("redis://{USER}:{PASSWORD}@{}/", redis.addr()),
        ),
    ];
    Service::start_by(&["setsid".to_owned()], folder.path(), "up", &arguments)
}

fn is_alive(process: Pid) -> bool {
    kill(process, None).is_ok()
}

/// Waits until a process has ended, at most so long.
async fn ended(process: Pid, within: Duration) {
    let deadline = Instant::now() + within;
    while is_alive(process) {
        assert!(Instant::now() < deadline, "{process} lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text_of(process: Pid, file: &str) -> String {
    let bytes = std::fs::read(Path::new("/proc").join(process.to_string()).join(file)).unwrap();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

#[tokio::test]
async fn a_worker_child_that_is_killed_comes_back_and_nothing_is_lost() {
    let mut on = UpOnServers::start().await;
    let load: Load = Load::start(&on.url);
    for life in 1..=3 {
        load.accept(2000).await;
        let worker = on.process("local-worker-1", life).await;
        kill(worker, Signal::SIGKILL).unwrap();
    }
    let worker = on.process("local-worker-1", 4).await;
    load.accept(2000).await;
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    on.prove("kill -9 of a worker child, 3 times", &sent).await;
    assert!(on.up.has_logged("killed by signal 9"));

    // It is set as its parent is, and its secrets are not seen by others.
    let seen = text_of(worker, "cmdline");
    assert!(seen.contains("serve worker"), "{seen}");
    assert!(
        !seen.contains("amqp://") && !seen.contains("redis://"),
        "{seen}"
    );
    let environment = text_of(worker, "environ");
    assert!(environment.contains("SKI_INSTANCE_ID=local-worker-1"));
    assert!(
        !environment.contains("SKI_CONSOLE_LISTEN"),
        "what sets the parent sets no child"
    );
    let settings = on.folder.path().join("data/children-crash/settings.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    assert!(settings.contains("threads = 3"), "{settings}");
    assert!(!settings.contains("://"), "{settings}");
    // Its name in the eyes of the console has stayed.
    let names = on.up.all_logged_after("\"node\":\"worker-");
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");

    on.up.drain().await;
    assert!(!is_alive(worker));
}

#[tokio::test]
async fn a_killed_up_leaves_no_child_and_a_new_one_starts_as_many() {
    let mut on = UpOnServers::start().await;
    let first = on.process("local-worker-1", 1).await;
    // Somebody has scaled.
    on.up.drain().await;
    assert!(!is_alive(first));
    let wanted = json!({
        "local-worker-1": {"wanted": true}, "local-worker-2": {"wanted": true}, "local-worker-3": {"wanted": false},
        "local-api-1": {"wanted": true},
    });
    std::fs::write(on.file(), wanted.to_string()).unwrap();
    on.start_again().await;
    let load = Load::start(&on.url);
    load.accept(2000).await;
    let mut children = Vec::new();
    for place in ["local-worker-1", "local-worker-2", "local-api-1"] {
        children.push(on.process(place, 1).await);
    }
    assert!(on.processes("local-worker-3").is_empty());
    // The further API takes rides, too.
    let port = on.places()["local-api-1"]["public_port"].clone();
    let ride = format!("http://127.0.0.1:{port}/resorts");
    assert_eq!(
        skilift_servers::http()
            .get(ride)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    on.up.kill_9().await;
    for child in &children {
        ended(*child, LONG).await;
    }
    on.start_again().await;
    load.accept(1000).await;
    let sent = load.stop().await;
    on.prove("kill -9 of skictl up with two worker children", &sent)
        .await;
    let again = [
        "local-worker-1",
        "local-worker-2",
        "local-api-1",
        "local-worker-3",
    ];
    let again = again.map(|place| on.processes(place).len());
    assert_eq!(again, [1, 1, 1, 0]);
    assert_eq!(on.places()["local-api-1"]["public_port"], port);
    on.up.drain().await;
}

#[tokio::test]
async fn one_ctrl_c_drains_all_and_a_second_one_ends_all() {
    let mut on = UpOnServers::start().await;
    let worker = on.process("local-worker-1", 1).await;
    assert_eq!(getpgid(Some(worker)), Ok(worker), "a group of its own");
    let load = Load::start(&on.url);
    load.accept(1000).await;
    on.up.signal_group(Signal::SIGINT);
    let status = on.up.wait().await;
    assert!(status.success(), "{status:?} {}", on.up.log());
    assert!(!is_alive(worker));
    assert!(
        on.up.has_logged("SIGTERM: draining\""),
        "the child was asked by its parent"
    );
    assert!(
        on.up
            .has_logged("local-worker-1 has stopped: exited with code 0"),
        "{}",
        on.up.log()
    );

    on.start_again().await;
    let worker = on.process("local-worker-1", 1).await;
    load.accept(500).await;
    // A store that does not answer keeps the child from finishing its batch.
    on.redis.pause().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    on.up.signal_group(Signal::SIGINT);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(is_alive(worker), "it was not to end before its batch");
    let asked_again = Instant::now();
    on.up.signal_group(Signal::SIGINT);
    let status = on.up.wait().await;
    assert_eq!(status.code(), Some(1), "{}", on.up.log());
    // The drain deadline is 30 s.
    assert!(asked_again.elapsed() < Duration::from_secs(20));
    assert!(!is_alive(worker));
    on.redis.resume().unwrap();
    on.start_again().await;
    load.accept(500).await;
    let sent = load.stop().await;
    on.prove("Ctrl-C once, and twice", &sent).await;
    on.up.drain().await;
}

#[tokio::test]
async fn up_fails_when_no_worker_can_work_and_says_why() {
    let (rabbit, redis) = servers(RedisOptions {
        appendfsync: AppendFsync::Everysec,
        ..RedisOptions::default()
    })
    .await;
    let folder = TempDir::new().unwrap();
    let mut up = launch(&folder, "http://127.0.0.1:0", &rabbit, &redis);
    assert_eq!(up.wait().await.code(), Some(1));
    let log = up.log();
    let last = log.lines().last().unwrap();
    assert!(
        last.starts_with(
            "skictl: local-worker-1: it did not come up: exited with code 1: skictl: "
        ),
        "{log}"
    );
    assert!(last.contains("appendfsync"), "{log}");
}

#[tokio::test]
async fn a_child_whose_parent_is_gone_drains_though_nobody_reads_its_log() {
    let (rabbit, redis) = servers(RedisOptions::default()).await;
    let folder = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_skictl"))
        .args([
            "serve",
            "worker",
            "--child",
            "json",
            "--metrics-listen",
            "127.0.0.1:0",
        ])
        .env("SKI_AMQP_URL", rabbit.amqp_url())
        .env("SKI_REDIS_URL", redis.url())
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = tokio::time::timeout(LONG, said.next_line()).await.unwrap();
    let said: Value = serde_json::from_str(&said.unwrap().unwrap()).unwrap();
    let health = format!("http://{}/healthz", said["private"].as_str().unwrap());
    let alive = skilift_servers::http().get(health).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    // Two signals at once, as a service manager and the parent may send them, are one.
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    drop((child.stderr.take(), child.stdin.take()));
    for _ in 0..2 {
        let _ = kill(pid, Signal::SIGTERM);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = tokio::time::timeout(LONG, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}
