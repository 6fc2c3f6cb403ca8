//! `skictl doctor` on set-ups that are broken in one way each: it names the fault, says how to mend it, and exits with 4.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use skilift_servers::{
    AppendFsync, RabbitOptions, RabbitServer, RedisOptions, RedisServer, shared_amqp_url,
    shared_redis_url,
};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinSet;

/// What the doctor said.
pub(crate) struct CommandOutput {
    code: i32,
    json: Value,
    text: String,
}

impl CommandOutput {
    /// The finding of this name: its state, what was found, and the fix.
    fn of(&self, check: &str) -> (&str, String, String) {
        let findings = self.json["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["check"] == check);
        let finding = finding.unwrap_or_else(|| panic!("no {check}: {}", self.text));
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        (
            finding["state"].as_str().unwrap(),
            text("found"),
            text("fix"),
        )
    }

    #[track_caller]
    pub(crate) fn fails(&self, check: &str, found: &str, fix: &str) {
        let (state, said, advice) = self.of(check);
        assert_eq!(state, "failed", "{check}: {said}");
        assert!(said.contains(found), "{check}: {said}");
        assert!(advice.contains(fix), "{check}: {advice}");
        assert_eq!(
            (self.code, &self.json["state"]),
            (4, &Value::from("failed"))
        );
    }

    #[track_caller]
    fn warns(&self, check: &str, found: &str, fix: &str) {
        let (state, said, advice) = self.of(check);
        assert_eq!(state, "warning", "{check}: {said}");
        assert!(said.contains(found), "{check}: {said}");
        assert!(advice.contains(fix), "{check}: {advice}");
    }

    #[track_caller]
    pub(crate) fn is_ok(&self, check: &str) {
        let (state, said, _) = self.of(check);
        assert_eq!(state, "ok", "{check}: {said}");
    }
}

/// Asks the doctor, who has ports of his own here.
async fn ask(folder: &Path, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
    command
        .args(["doctor", "--output", "json", "--api-listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0"])
        .args(["--console-listen", "127.0.0.1:0", "--data"])
        .arg(folder)
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true);
    for variable in ["SKI_AMQP_URL", "SKI_REDIS_URL"] {
        command.env_remove(variable);
    }
    let ended = tokio::time::timeout(Duration::from_secs(40), command.output());
    let output = ended.await.expect("the doctor ends").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    for said in [&text, &*stderr] {
        assert!(
            !said.contains("s3cret") && !said.contains("panicked"),
            "{said}"
        );
    }
    let json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{stderr}"));
    CommandOutput {
        code: output.status.code().unwrap(),
        json,
        text,
    }
}

pub(crate) async fn ask_of(amqp: &str, redis: &str, stack: &str, more: &[&str]) -> CommandOutput {
    let folder = TempDir::new().unwrap();
    let servers = ["--amqp-url", amqp, "--redis-url", redis, "--stack", stack];
    ask(folder.path(), &[&servers, more].concat()).await
}

fn stack(name: &str) -> String {
    format!("doctor-{name}-{}", std::process::id())
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn with_wrong_password(url: &str) -> String {
    let (_, host) = url.rsplit_once('@').unwrap();
    let (scheme, _) = url.split_once("://").unwrap();
    format!("{scheme}://someone:s3cret@{host}")
}

async fn declare(queue: &str, arguments: &[(&str, AMQPValue)]) {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&shared_amqp_url(), properties)
        .await
        .unwrap();
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let channel = connection.create_channel().await.unwrap();
    let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), table);
    declared.await.unwrap();
}

#[tokio::test]
async fn a_sound_set_up_is_well_and_nothing_is_made() {
    let stack = stack("sound");
    let (amqp, redis) = (shared_amqp_url(), shared_redis_url());
    let said = ask_of(&amqp, &redis, &stack, &[]).await;
    assert_eq!(said.code, 0, "{}", said.text);
    for check in [
        "broker",
        "broker version",
        "broker resources",
        "redis",
        "redis version",
        "redis writes",
        "redis durability",
        "redis clock",
        "redis data",
        "api port",
        "private port",
        "console port",
        "exposure",
        "data directory",
        "cached console settings",
    ] {
        said.is_ok(check);
    }
    assert!(
        said.of("broker version").1.starts_with("RabbitMQ "),
        "{}",
        said.text
    );
    assert_eq!(said.of("broker policies").0, "not_checked");
    said.warns("nodes", "no heartbeat within", "skictl serve api");
    // Asked again, the queues are still not there.
    let again = ask_of(&amqp, &redis, &stack, &[]).await;
    again.warns(
        &format!("queue {stack}.rides"),
        "does not exist",
        "creates it",
    );
}

#[tokio::test]
async fn a_broker_that_is_away_or_says_no_is_named() {
    let (amqp, redis) = (shared_amqp_url(), shared_redis_url());
    let away = ask_of(&format!("amqp://{}", nobody()), &redis, "x", &[]).await;
    away.fails("broker", "cannot reach amqp://127.0.0.1", "start RabbitMQ");
    // The others are looked at all the same.
    away.is_ok("redis");
    let wrong = ask_of(&with_wrong_password(&amqp), &redis, "x", &[]).await;
    wrong.fails(
        "broker",
        "denied access for this user or virtual host",
        "user, password and virtual host",
    );
    let (base, _) = amqp
        .rsplit_once('/')
        .filter(|(base, _)| base.contains('@'))
        .unwrap_or((&amqp, ""));
    let vhost = ask_of(&format!("{base}/nowhere"), &redis, "x", &[]).await;
    vhost.fails(
        "broker",
        "denied access for this user or virtual host",
        "virtual host",
    );
    // Something else listens there.
    let (http, _running) = management("{}", "[]", "[]").await;
    let other = http.replace("http://guest:s3cret@", "amqp://");
    let other = ask_of(&other, &redis, "x", &[]).await;
    other.fails("broker", "is not an AMQP broker", "fix --amqp-url");
}

#[tokio::test]
async fn a_queue_that_is_another_or_that_nobody_empties_is_named() {
    let (amqp, redis, stack) = (shared_amqp_url(), shared_redis_url(), stack("queue"));
    let queue = format!("{stack}.rides");
    declare(
        &queue,
        &[("x-queue-type", AMQPValue::LongString("classic".into()))],
    )
    .await;
    let said = ask_of(&amqp, &redis, &stack, &[]).await;
    said.fails(
        &format!("queue {queue}"),
        "exists with other arguments",
        "delete it",
    );
}

#[tokio::test]
async fn a_broker_without_room_is_named() {
    let rabbit = RabbitServer::start(RabbitOptions::default()).await.unwrap();
    let shrinking = rabbit.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    shrinking.await.unwrap();
    let began = std::time::Instant::now();
    // RabbitMQ looks at its memory now and then.
    let said = loop {
        let said = ask_of(&rabbit.amqp_url(), &shared_redis_url(), "x", &[]).await;
        if said.code == 4 || began.elapsed() > Duration::from_secs(60) {
            break said;
        }
    };
    said.fails(
        "broker resources",
        "blocks publishers",
        "vm_memory_high_watermark",
    );
}

#[tokio::test]
async fn a_redis_that_is_away_says_no_or_forgets_is_named() {
    let (amqp, redis) = (shared_amqp_url(), shared_redis_url());
    let away = ask_of(&amqp, &format!("redis://{}", nobody()), "x", &[]).await;
    away.fails("redis", "cannot reach Redis", "start Redis");
    let wrong = ask_of(&amqp, &with_wrong_password(&redis), "x", &[]).await;
    wrong.fails(
        "redis",
        "denied access: wrong user or password",
        "user and password",
    );

    let options = RedisOptions {
        appendfsync: AppendFsync::Everysec,
        maxmemory: Some("20mb".to_owned()),
        config: vec![("maxmemory-policy".to_owned(), "volatile-lru".to_owned())],
        ..RedisOptions::default()
    };
    let weak = RedisServer::start(options).await.unwrap();
    let client = redis::Client::open(weak.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut format = redis::cmd("SET");
    format
        .arg("{x}:format")
        .arg("99")
        .exec_async(&mut connection)
        .await
        .unwrap();
    // Made by Redis itself: what it is sent takes memory, too.
    let mut fill = redis::cmd("SETRANGE");
    fill.arg("fill").arg(17 << 20).arg("x");
    fill.exec_async(&mut connection).await.unwrap();
    let said = ask_of(&amqp, &weak.url(), "x", &[]).await;
    said.fails(
        "redis durability",
        "appendfsync is everysec, not always",
        "appendfsync always",
    );
    said.fails(
        "redis durability",
        "maxmemory-policy is volatile-lru",
        "noeviction",
    );
    // The provider of the service promises it, or the loss is accepted.
    for (how, says) in [
        ("managed", "promised by the provider of the service"),
        ("lossy", "accepted: --store-durability lossy"),
    ] {
        let durability = ["--store-durability", how];
        let said = ask_of(&amqp, &weak.url(), "x", &durability).await;
        let row = said
            .text
            .lines()
            .find(|row| row.contains("redis durability"));
        assert!(row.is_some_and(|row| row.contains(says)), "{}", said.text);
    }
    said.fails("redis memory", "the API rejects rides", "raise maxmemory");
    said.fails(
        "redis data",
        "newer than this version supports",
        "another --stack",
    );
}

#[tokio::test]
async fn a_redis_that_refuses_writes_or_channels_is_named() {
    let amqp = shared_amqp_url();
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let user = |arguments: &str| {
        let mut set = redis::cmd("ACL");
        set.arg("SETUSER").arg("ski").arg("reset");
        arguments.split(' ').for_each(|rule| {
            set.arg(rule);
        });
        set
    };
    let host = server.url().replace("redis://", "");
    let (_, host) = host.rsplit_once('@').unwrap_or(("", &host));
    let url = format!("redis://ski:pw@{host}");
    // The permissions of docs/operations.md, and then one less each.
    let commands =
        "+@read +@write +@pubsub +@scripting +@connection +@transaction +info +time +config|get";
    for (rules, check, found) in [
        (format!("on >pw ~{{x}}:* &{{x}}:* {commands}"), "", ""),
        (format!("on >pw ~{{x}}:* {commands}"), "nodes", "NOPERM"),
        (
            format!("on >pw %R~{{x}}:* &{{x}}:* {commands}"),
            "redis writes",
            "NOPERM",
        ),
    ] {
        user(&rules).exec_async(&mut connection).await.unwrap();
        let said = ask_of(&amqp, &url, "x", &[]).await;
        if check.is_empty() {
            assert_eq!(said.code, 0, "{}", said.text);
        } else {
            said.fails(check, found, "{x}:*");
        }
    }
    let mut fill = redis::cmd("SETRANGE");
    fill.arg("fill").arg(8 << 20).arg("x");
    fill.exec_async(&mut connection).await.unwrap();
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("4mb");
    limit.exec_async(&mut connection).await.unwrap();
    let said = ask_of(&amqp, &server.url(), "x", &[]).await;
    said.fails("redis writes", "OOM", "remove the cause");
}

#[tokio::test]
async fn ports_folders_and_files_that_cannot_be_used_are_named() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let inside = file.join("data");
    let file = file.to_str().unwrap();
    let said = ask(
        folder.path(),
        &["--catalogue", file, "--tls-cert", file, "--tls-key", file],
    )
    .await;
    said.fails("tls", "contains no certificate", "--tls-cert");
    said.fails("catalogue", "file", "--catalogue");
    std::fs::write(folder.path().join("desired-state-skilift.json"), "{").unwrap();
    let said = ask(folder.path(), &[]).await;
    said.fails(
        "cached console settings",
        "desired-state-skilift.json",
        "delete it",
    );

    // These name what `ask` names, too: the command line takes them once.
    let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
    command.args(["doctor", "--output", "json", "--api-listen", &address]);
    command
        .args(["--metrics-listen", "203.0.113.1:9464", "--data"])
        .arg(&inside);
    command
        .env_remove("SKI_AMQP_URL")
        .env_remove("SKI_REDIS_URL")
        .current_dir(folder.path());
    let output = command.output().await.unwrap();
    let said = CommandOutput {
        code: output.status.code().unwrap(),
        json: serde_json::from_slice(&output.stdout).unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
    };
    said.fails("api port", "another program listens", "--api-listen");
    said.fails(
        "private port",
        "cannot listen on 203.0.113.1:9464",
        "--metrics-listen",
    );
    said.fails("data directory", "is not a directory", "--data");
}

/// A management API that says of a broker what a test wants it to say.
async fn management(
    policy: &'static str,
    flags: &'static str,
    nodes: &'static str,
) -> (String, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://guest:s3cret@{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route(
            "/api/queues/{vhost}/{queue}",
            get(move || async move { policy }),
        )
        .route("/api/feature-flags", get(move || async move { flags }))
        .route("/api/nodes", get(move || async move { nodes }));
    let mut running = JoinSet::new();
    running.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, running)
}

#[tokio::test]
async fn what_the_management_api_tells_is_judged() {
    let (amqp, redis) = (shared_amqp_url(), shared_redis_url());
    let (url, _running) = management(
        r#"{"policy":"short","operator_policy":null,"effective_policy_definition":{"message-ttl":60000}}"#,
        r#"[{"name":"khepri_db","state":"disabled","stability":"stable"},{"name":"new","state":"disabled","stability":"experimental"}]"#,
        r#"[{"name":"rabbit@a","running":true,"mem_alarm":true,"disk_free_alarm":false}]"#,
    )
    .await;
    let said = ask_of(&amqp, &redis, "x", &["--management-url", &url]).await;
    said.fails(
        "policies of x.rides",
        "message-ttl 60000: RabbitMQ would drop",
        "clear_policy",
    );
    said.fails(
        "broker alarms",
        "rabbit@a is low on memory",
        "vm_memory_high_watermark",
    );
    said.warns(
        "broker feature flags",
        "disabled: khepri_db",
        "enable_feature_flag all",
    );
    assert!(!said.of("broker feature flags").1.contains("new"));

    // Fields that are not there say nothing.
    let (url, _running) = management("{}", "[{}]", "[{}]").await;
    let said = ask_of(&amqp, &redis, "x", &["--management-url", &url]).await;
    for check in [
        "policies of x.rides",
        "broker alarms",
        "broker feature flags",
    ] {
        said.is_ok(check);
    }
    let nobody = format!("http://guest:s3cret@{}", nobody());
    let said = ask_of(&amqp, &redis, "x", &["--management-url", &nobody]).await;
    said.fails(
        "management api",
        "cannot reach http://guest:***@",
        "rabbitmq-plugins enable",
    );
    let (url, _running) = management("no json", "", "").await;
    let said = ask_of(&amqp, &redis, "x", &["--management-url", &url]).await;
    said.fails("management api", "does not respond like", "15672");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_meant_is_a_usage_error() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
    command.args(["doctor", "--amqp-url", "amqp://127.0.0.1"]);
    command
        .env_remove("SKI_AMQP_URL")
        .env_remove("SKI_REDIS_URL")
        .current_dir(folder.path());
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("redis_url is not"));
}
