//! Starts that must fail, or wait, with a message that says what to do.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use skilift_servers::{AppendFsync, RedisOptions, RedisServer, shared_amqp_url, shared_redis_url};
use tempfile::TempDir;
use tokio::process::Command;

use crate::service::Service;

/// Runs `skictl` until it ends by itself, started by a program that becomes it, if one is named.
async fn run(
    launcher: &[String],
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Output {
    let skictl = [env!("CARGO_BIN_EXE_skictl").to_owned()];
    let mut words = launcher.iter().chain(&skictl);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true);
    for variable in ["SKI_AMQP_URL", "SKI_REDIS_URL"] {
        command.env_remove(variable);
    }
    command.envs(crate::service::aside(folder));
    let ended = command.envs(environment.iter().copied()).output();
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .expect("skictl ends")
        .unwrap()
}

/// Runs `skictl` and expects it to fail with this code and words, and without a panic or a password.
async fn fails(arguments: &[&str], environment: &[(&str, &str)], code: i32, says: &[&str]) {
    let folder = TempDir::new().unwrap();
    fails_in(folder.path(), arguments, environment, code, says).await;
}

async fn fails_in(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    code: i32,
    says: &[&str],
) {
    let output = run(&[], folder, arguments, environment).await;
    check_failure(arguments, &output, code, says);
}

/// As [`fails`], started by a program that becomes it.
pub(crate) async fn fails_by(launcher: &[String], arguments: &[&str], code: i32, says: &[&str]) {
    let folder = TempDir::new().unwrap();
    let output = run(launcher, folder.path(), arguments, &[]).await;
    check_failure(arguments, &output, code, says);
}

fn check_failure(arguments: &[&str], output: &Output, code: i32, says: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    for words in says {
        assert!(
            stderr.contains(words),
            "{arguments:?} does not say {words:?}: {stderr}"
        );
    }
    assert!(
        !stderr.contains("panicked") && !stderr.contains("s3cret"),
        "{stderr}"
    );
}

const API: [&str; 6] = [
    "serve",
    "api",
    "--api-listen",
    "127.0.0.1:0",
    "--metrics-listen",
    "127.0.0.1:0",
];
const WORKER: [&str; 4] = ["serve", "worker", "--metrics-listen", "127.0.0.1:0"];

fn with_wrong_password(url: &str) -> String {
    let (_, host) = url.rsplit_once('@').unwrap();
    let (scheme, _) = url.split_once("://").unwrap();
    format!("{scheme}://someone:s3cret@{host}")
}

#[tokio::test]
async fn wrong_passwords_are_told_at_once() {
    let (amqp, redis) = (shared_amqp_url(), shared_redis_url());
    let wrong_amqp = with_wrong_password(&amqp);
    let refused = [
        "denied access for this user or virtual host",
        "someone:***@",
    ];
    fails(
        &API,
        &[("SKI_AMQP_URL", &wrong_amqp), ("SKI_REDIS_URL", &redis)],
        1,
        &refused,
    )
    .await;
    fails(
        &WORKER,
        &[("SKI_AMQP_URL", &wrong_amqp), ("SKI_REDIS_URL", &redis)],
        1,
        &refused,
    )
    .await;
    let wrong_redis = with_wrong_password(&redis);
    let refused = ["denied access: wrong user or password", "--redis-url"];
    fails(
        &WORKER,
        &[("SKI_AMQP_URL", &amqp), ("SKI_REDIS_URL", &wrong_redis)],
        1,
        &refused,
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_forgets_is_refused_by_the_worker() {
    let options = RedisOptions {
        appendfsync: AppendFsync::No,
        ..RedisOptions::default()
    };
    let redis = RedisServer::start(options).await.unwrap();
    let environment = [
        ("SKI_AMQP_URL", &*shared_amqp_url()),
        ("SKI_REDIS_URL", &*redis.url()),
    ];
    let says = [
        "would lose acknowledged rides",
        "appendfsync is no, not always",
        "--store-durability",
    ];
    fails(&WORKER, &environment, 1, &says).await;
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_refused_by_both() {
    let connection = lapin::Connection::connect(&shared_amqp_url(), Default::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let stack = format!("other-{}", std::process::id());
    let queue = format!("{stack}.rides");
    let durable = lapin::options::QueueDeclareOptions::durable();
    channel
        .queue_declare(queue.as_str().into(), durable, Default::default())
        .await
        .unwrap();
    let environment = [
        ("SKI_AMQP_URL", &*shared_amqp_url()),
        ("SKI_REDIS_URL", &*shared_redis_url()),
        ("SKI_STACK", &*stack),
    ];
    let says = [
        &*format!("the queue {queue} exists with other arguments"),
        "use another --stack",
    ];
    fails(&API, &environment, 1, &says).await;
    fails(&WORKER, &environment, 1, &says).await;
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_usage_errors() {
    let urls = [
        ("SKI_AMQP_URL", "amqp://mq"),
        ("SKI_REDIS_URL", "redis://store"),
    ];
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("skilift.toml"), "thredas = 4\n").unwrap();
    let unknown = [
        "unknown key thredas",
        "did you mean threads?",
        "skilift.toml",
    ];
    fails_in(folder.path(), &WORKER, &urls, 2, &unknown).await;
    fails(
        &WORKER,
        &[],
        2,
        &["missing the URLs of RabbitMQ and Redis", "--amqp-url"],
    )
    .await;
    fails(
        &["serve", "worker", "--threads", "0"],
        &urls,
        2,
        &["'0' for '--threads <N>': must be 1 to 256 threads"],
    )
    .await;
    fails(
        &["serve", "worker", "--threads", "many"],
        &urls,
        2,
        &["invalid value 'many'"],
    )
    .await;
    fails(
        &["serve", "worker", "--config", "none.toml"],
        &urls,
        2,
        &["configuration file not found: none.toml"],
    )
    .await;
    fails(
        &["serve", "worker", "--channels", "2"],
        &urls,
        2,
        &["unexpected argument '--channels'"],
    )
    .await;
    let wrong = [
        ("SKI_AMQP_URL", "http://a:s3cret@b"),
        ("SKI_REDIS_URL", "redis://store"),
    ];
    fails(&WORKER, &wrong, 2, &["amqp_url", "must start with amqp://"]).await;
    fails(
        &["serve", "api", "--api-listen", "0.0.0.0:0"],
        &urls,
        2,
        &["--catalogue", "--open"],
    )
    .await;
    fails(
        &WORKER,
        &[urls[0], urls[1], ("SKI_THRAEDS", "2")],
        2,
        &["SKI_THRAEDS", "did you mean SKI_THREADS?"],
    )
    .await;
    fails(
        &WORKER,
        &[urls[0], urls[1], ("SKI_LOG", "loud==")],
        1,
        &["log filter"],
    )
    .await;
}

#[tokio::test]
async fn a_port_in_use_and_a_bad_catalogue_are_named() {
    let urls = [
        ("SKI_AMQP_URL", "amqp://mq"),
        ("SKI_REDIS_URL", "redis://store"),
    ];
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = [
        "serve",
        "api",
        "--api-listen",
        &address,
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    fails(
        &arguments,
        &urls,
        1,
        &[&format!("cannot listen on {address}"), "--api-listen"],
    )
    .await;
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("resorts.toml"),
        "[[resort]]\nid = 0\nname = \"x\"\n",
    )
    .unwrap();
    let arguments = [&API[..], &["--catalogue", "resorts.toml"]].concat();
    fails_in(
        folder.path(),
        &arguments,
        &urls,
        1,
        &["resorts.toml", "from 1 to 65535"],
    )
    .await;
}

#[tokio::test]
async fn absent_servers_are_waited_for_and_named() {
    let folder = TempDir::new().unwrap();
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (amqp, redis) = (
        format!("amqp://a:s3cret@{unused}"),
        format!("redis://:s3cret@{unused}"),
    );
    let environment = [("SKI_AMQP_URL", &*amqp), ("SKI_REDIS_URL", &*redis)];
    let mut worker = Service::start(folder.path(), "worker", &WORKER, &environment);
    worker
        .logged_after("cannot reach Redis at redis://:***@")
        .await;
    let private = worker.logged_after("health and metrics on ").await;
    let answer = skilift_servers::http()
        .get(format!("{private}/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    let health: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(health["status"], "unavailable");
    assert!(
        skilift_servers::http()
            .get(format!("{private}/healthz"))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    worker.drain().await;

    let mut api = Service::start(folder.path(), "api", &API, &environment);
    api.logged_after("cannot reach RabbitMQ at amqp://a:***@")
        .await;
    let url = api.logged_after("public API on ").await;
    assert_eq!(
        skilift_servers::http()
            .get(format!("{url}/readyz"))
            .send()
            .await
            .unwrap()
            .status(),
        503
    );
    api.drain().await;
    assert!(!api.log().contains("s3cret") && !worker.log().contains("s3cret"));
}

#[tokio::test]
async fn without_redis_rides_are_accepted_and_the_api_is_degraded() {
    let folder = TempDir::new().unwrap();
    let mut redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = redis.url();
    redis.stop().await.unwrap();
    let stack = format!("degraded-{}", std::process::id());
    let environment = [
        ("SKI_AMQP_URL", &*shared_amqp_url()),
        ("SKI_REDIS_URL", &*url),
        ("SKI_STACK", &*stack),
    ];
    let mut api = Service::start(folder.path(), "api", &API, &environment);
    let private = api.logged_after("health and metrics on ").await;
    let public = api.logged_after("public API on ").await;
    let http = skilift_servers::http();
    let path = format!("{public}/skiers/1/seasons/2025/days/1/skiers/1");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let sent = http
            .post(&path)
            .json(&serde_json::json!({"time": 1, "liftID": 1}))
            .send()
            .await
            .unwrap();
        if sent.status() == 201 {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{:?}",
            sent.text().await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let asked = http.get(&path).send().await.unwrap();
    assert_eq!(asked.status(), 503);
    assert!(asked.text().await.unwrap().contains("Redis"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let health = http.get(format!("{private}/readyz")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(
        health.json::<serde_json::Value>().await.unwrap()["status"],
        "degraded"
    );
    api.drain().await;
}

#[tokio::test]
async fn help_completions_and_man_pages_are_there() {
    let folder = TempDir::new().unwrap();
    for (arguments, says) in [
        (vec!["--help"], "Usage: skictl <COMMAND>"),
        (vec!["serve", "worker", "--help"], "--store-durability"),
        (vec!["serve", "api", "--help"], "SKI_AMQP_URL"),
        (vec!["--version"], env!("CARGO_PKG_VERSION")),
        (vec!["config", "show"], "console_listen"),
        (vec!["completions", "bash"], "_clap_complete_skictl"),
        (vec!["completions", "fish"], "--command skictl"),
        (vec!["man"], ".TH skictl"),
    ] {
        let output = run(&[], folder.path(), &arguments, &[]).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && stdout.contains(says),
            "{arguments:?}: {stdout}"
        );
    }
    assert!(
        run(&[], folder.path(), &["man", "pages"], &[])
            .await
            .status
            .success()
    );
    assert!(folder.path().join("pages/skictl-serve-worker.1").is_file());
}

#[tokio::test]
async fn each_value_of_the_configuration_says_where_it_comes_from() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("skilift.toml"),
        "batch = 700\nthreads = 5\n",
    )
    .unwrap();
    let variables = [
        ("SKI_THREADS", "6"),
        ("SKI_AMQP_URL", "amqp://ann:s3cret@127.0.0.1:5672/"),
        ("SKI_REDIS_URL", "redis://127.0.0.1:6379/"),
    ];
    let arguments = ["config", "show", "--stack", "arosa", "--output", "json"];
    let output = run(&[], folder.path(), &arguments, &variables).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("s3cret"), "{text}");
    let shown: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    for (key, value, source) in [
        ("stack", "arosa", "--stack"),
        ("threads", "6", "SKI_THREADS"),
        ("batch", "700", "skilift.toml"),
        ("prefetch", "4000", "default"),
        ("amqp_url", "amqp://ann:***@127.0.0.1:5672/", "SKI_AMQP_URL"),
    ] {
        let found = shown.iter().find(|shown| shown["key"] == key).unwrap();
        assert_eq!(found["value"], value, "{found}");
        assert!(
            found["source"].as_str().unwrap().ends_with(source),
            "{found}"
        );
    }
}
