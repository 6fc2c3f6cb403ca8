//! `skictl load` against an API and a worker of ours: exit codes, JSON, report, and how it ends.

use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use skilift_servers::{http, shared_amqp_url, shared_redis_url};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::service::Service;

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(60);

/// An API and a worker on the shared servers, in a stack of their own.
struct TestDeployment {
    url: String,
    folder: TempDir,
    _api: Service,
    _worker: Service,
}

impl TestDeployment {
    async fn start(settings: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = TempDir::new().unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let stack = format!("load-{}-{number}", std::process::id());
        let (amqp, redis) = (shared_amqp_url(), shared_redis_url());
        let servers = [
            ("SKI_AMQP_URL", amqp.as_str()),
            ("SKI_REDIS_URL", &redis),
            ("SKI_STACK", &stack),
            ("SKI_METRICS_LISTEN", "127.0.0.1:0"),
        ];
        let environment = [&servers[..], &[("SKI_API_LISTEN", "127.0.0.1:0")], settings].concat();
        let mut api = Service::start(folder.path(), "api", &["serve", "api"], &environment);
        let url = api.logged_after("public API on ").await;
        let worker = ["serve", "worker", "--store-durability=lossy"];
        let mut worker = Service::start(folder.path(), "worker", &worker, &servers);
        worker.logged_after("health and metrics on ").await;
        Self {
            url,
            folder,
            _api: api,
            _worker: worker,
        }
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
    command
        .arg("load")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs `skictl load` to its end.
async fn load(arguments: &[&str]) -> Output {
    let ended = tokio::time::timeout(Duration::from_secs(60), command(arguments).output()).await;
    ended.expect("skictl load ends").unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON on stdout, once the exit code is as expected.
fn json(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn our_own_server_is_loaded_and_loses_nothing() {
    let deployment = TestDeployment::start(&[]).await;
    let report = deployment.folder.path().join("run 1");
    let arguments = [
        "--target",
        &deployment.url,
        "--rides=3000",
        "--threads=8",
        "--reads=0.25",
        "--seed=11",
        "--verify",
        "--fail-if=lost>0",
        "--fail-if=errors>0%",
        "--output=json",
        "--report",
        report.to_str().unwrap(),
    ];
    let output = load(&arguments).await;
    let summary = json(&output, 0);
    assert_eq!(stderr(&output), "", "nothing but a terminal gets a bar");
    assert_eq!(
        (&summary["seed"], &summary["ended"]),
        (&11.into(), &"complete".into())
    );
    assert_eq!(summary["requests"]["sent"], 3999);
    assert_eq!(summary["requests"]["reads"], 999);
    assert_eq!(
        (&summary["rides"]["accepted"], &summary["rides"]["refused"]),
        (&3000.into(), &0.into())
    );
    assert!(summary["latency"]["p99_ms"].as_f64().unwrap() > 0.0);
    let verify = &summary["verify"];
    assert_eq!(verify["method"], "ride_lists");
    assert_eq!(verify["found"], 3000);
    for word in ["lost", "wrong", "pending", "foreign"] {
        assert_eq!(verify[word], 0, "{word}: {verify}");
    }
    for file in [
        "summary.json",
        "timeline.csv",
        "timeline.json",
        "throughput.svg",
        "latency.svg",
    ] {
        assert!(report.join(file).is_file(), "{file}");
    }

    // The same seed sends the same rides, which are there already and stay there once.
    let bulk = [
        &arguments[..2],
        &[
            "--rides=3000",
            "--bulk=500",
            "--threads=2",
            "--seed=11",
            "--verify",
        ],
    ]
    .concat();
    let again = load(&bulk).await;
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let table = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(
        table.contains("3,000 sent, 3,000 accepted, 0 rejected, 0 unknown"),
        "{table}"
    );
    assert!(
        table.contains("6 requests") && table.contains("3,000 found"),
        "{table}"
    );
}

#[tokio::test]
async fn a_condition_that_holds_is_named_with_its_value() {
    let deployment = TestDeployment::start(&[]).await;
    let output = load(&[
        "--target",
        &deployment.url,
        "--rate=200",
        "--duration=1s",
        "--fail-if=p99>1h",
        "--fail-if=sent>=200",
        "--output=json",
    ])
    .await;
    let summary = json(&output, 8);
    assert_eq!(summary["pace"], "open_loop");
    assert!(
        summary["latency_from_send"]["p50_ms"].is_number() && summary["send_lateness"].is_object()
    );
    let said = stderr(&output);
    assert!(
        said.contains("--fail-if sent>=200: sent was 200") && !said.contains("p99"),
        "{said}"
    );
}

#[tokio::test]
async fn rides_that_a_catalogue_refuses_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let catalogue = folder.path().join("resorts.toml");
    std::fs::write(
        &catalogue,
        "[[resort]]\nid = 1\nname = 'Zermatt'\nlifts = { 1 = 420, 2 = 380 }\n",
    )
    .unwrap();
    let deployment = TestDeployment::start(&[("SKI_CATALOGUE", catalogue.to_str().unwrap())]).await;
    let common = [
        "--target",
        &deployment.url,
        "--rides=200",
        "--resorts=2",
        "--output=json",
        "--verify",
    ];
    let output = load(&[&common[..], &["--lifts=2"]].concat()).await;
    let summary = json(&output, 0);
    let (accepted, refused) = (&summary["rides"]["accepted"], &summary["rides"]["refused"]);
    assert_eq!(accepted.as_u64().unwrap() + refused.as_u64().unwrap(), 200);
    assert!(refused.as_u64().unwrap() > 50, "{summary}");
    let error = &summary["errors"][0];
    assert_eq!(
        (&error["kind"], &error["count"]),
        (&"status 400".into(), refused)
    );
    assert!(
        error["example"].as_str().unwrap().contains("resortID 2"),
        "{error}"
    );
    assert_eq!(
        (&summary["verify"]["lost"], &summary["verify"]["wrong"]),
        (&0.into(), &0.into())
    );
    // Nobody knows this resort.
    let none = load(&[&common[..3], &["--resorts=7-7", "--output=json"]].concat()).await;
    assert_eq!(json(&none, 1)["requests"]["succeeded"], 0);
    assert!(
        stderr(&none).contains("no request succeeded (status 400: "),
        "{}",
        stderr(&none)
    );
}

#[tokio::test]
async fn what_cannot_be_meant_is_a_usage_error() {
    let target = "--target=http://127.0.0.1:1";
    for (arguments, says) in [
        (&[target][..], "--rides <N>"),
        (
            &[target, "--rides=1", "--duration=1s"],
            "cannot be used with",
        ),
        (
            &["--target=ftp://x", "--rides=1"],
            "must start with http:// or https://",
        ),
        (&["--target=x", "--rides=1"], "is not a URL"),
        (&[target, "--rides=0"], "--rides must be at least 1"),
        (&[target, "--rides=1", "--threads=0"], "1 to 60000 threads"),
        (&[target, "--rides=1", "--rate=-1"], "a rate must be"),
        (&[target, "--rides=1", "--reads=1.5"], "must be 0 to 1"),
        (
            &[target, "--rides=1", "--days=367"],
            "dayID must be a whole number from 1 to 366",
        ),
        (&[target, "--rides=1", "--skiers=9-2"], "decreasing range"),
        (
            &[target, "--profile=0s:1", "--rate=1"],
            "at least two points",
        ),
        (
            &[
                target,
                "--rides=9000",
                "--skiers=1",
                "--lifts=1",
                "--minutes=9",
            ],
            "contain 270 distinct rides",
        ),
        (
            &[target, "--rides=1", "--breaker-open=5"],
            "--breaker-close",
        ),
        (
            &[
                target,
                "--rides=1",
                "--threads=1",
                "--breaker-open=5",
                "--breaker-close=6",
            ],
            "must not be above open",
        ),
        (
            &[target, "--rides=1", "--fail-if=p98>1ms"],
            "the figures are mean, median",
        ),
        (
            &[target, "--rides=1", "--fail-if=lost>0"],
            "requires --verify",
        ),
        (&[target, "--rides=1", "--verify-timeout=1s"], "--verify"),
    ] {
        let output = load(arguments).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.contains(says),
            "{arguments:?} does not say {says:?}: {said}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_begun_says_why() {
    let output = load(&["--target=http://127.0.0.1:1", "--rides=1"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains(
            "cannot connect to the target; no request was sent: cannot connect to http://127.0.0.1:1: "
        ),
        "{said}"
    );

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let report = file.join("report");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("--target=http://{}", listener.local_addr().unwrap());
    let output = load(&[&target, "--rides=1", "--report", report.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("report"), "{}", stderr(&output));
    let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(
        connected.is_err(),
        "nothing is sent when the report cannot be written"
    );
}

#[tokio::test]
async fn a_report_that_cannot_be_written_leaves_the_summary() {
    let deployment = TestDeployment::start(&[]).await;
    let report = deployment.folder.path().join("report");
    // No file takes the place of a folder; that is noticed at the end only.
    std::fs::create_dir_all(report.join("summary.json")).unwrap();
    let output = load(&[
        "--target",
        &deployment.url,
        "--rides=10",
        "--fail-if=sent>=10",
        "--output=json",
        "--report",
        report.to_str().unwrap(),
    ])
    .await;
    assert_eq!(json(&output, 1)["requests"]["sent"], 10);
    let said = stderr(&output);
    assert!(
        said.contains("sent was 10") && said.contains("summary.json"),
        "{said}"
    );
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().expect("skictl runs");
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

#[tokio::test]
async fn ctrl_c_ends_a_run_with_its_part_of_the_summary() {
    let deployment = TestDeployment::start(&[]).await;
    let report = deployment.folder.path().join("part");
    let arguments = [
        "--target",
        &deployment.url,
        "--duration=10m",
        "--output=json",
        "--verify",
        "--report",
    ];
    let child = command(&[&arguments[..], &[report.to_str().unwrap()]].concat())
        .spawn()
        .unwrap();
    let is_stored = async {
        loop {
            let resorts = http()
                .get(format!("{}/resorts", deployment.url))
                .send()
                .await;
            let resorts: Value = resorts.unwrap().json().await.unwrap();
            if resorts["resorts"]
                .as_array()
                .is_some_and(|found| !found.is_empty())
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, is_stored).await.unwrap();
    signal(&child, Signal::SIGINT);
    let ended = tokio::time::timeout(LONG, child.wait_with_output()).await;
    let output = ended.expect("skictl ends").unwrap();
    let summary = json(&output, 130);
    assert_eq!(
        (&summary["ended"], &summary["verify"]),
        (&"interrupted".into(), &Value::Null)
    );
    assert!(summary["requests"]["succeeded"].as_u64().unwrap() > 0);
    assert_eq!(summary["requests"]["failed"], 0);
    assert!(stderr(&output).contains("interrupted: the summary covers only a part of the run"));
    assert!(report.join("throughput.svg").is_file());
}

#[tokio::test]
async fn a_second_ctrl_c_ends_at_once() {
    // Takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("--target=http://{}", listener.local_addr().unwrap());
    let mut child = command(&[&target, "--rides=10", "--threads=2"])
        .spawn()
        .unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    // The first connection only checks that the target is there, and is closed.
    let _under_way = loop {
        let (connection, _) = listener.accept().await.unwrap();
        if connection.peek(&mut [0]).await.unwrap() > 0 {
            break connection;
        }
    };
    signal(&child, Signal::SIGINT);
    says(&mut messages, "requests in flight").await;
    // Within half a second it would be the same request.
    tokio::time::sleep(Duration::from_millis(700)).await;
    signal(&child, Signal::SIGINT);
    says(&mut messages, "ended at once").await;
    let status = tokio::time::timeout(LONG, child.wait()).await;
    assert_eq!(status.expect("skictl ends").unwrap().code(), Some(130));
}

/// Reads until the text comes.
async fn says(messages: &mut (impl AsyncBufRead + Unpin), text: &str) {
    let reading = async {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = messages.read_line(&mut line).await.unwrap();
            assert!(read > 0, "it ended without saying {text:?}");
        }
    };
    let read = tokio::time::timeout(LONG, reading).await;
    read.unwrap_or_else(|_| panic!("it does not say {text:?}"));
}
