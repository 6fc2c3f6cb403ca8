//! The doors of real processes: TLS, ingest keys that outlast a restart without Redis, and what strangers meet.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use skilift_servers::shared_amqp_url;
use tempfile::TempDir;

use crate::service::Service;

const RIDE: &str = "/skiers/1/seasons/2025/days/12/skiers/7";

async fn post(url: &str) -> reqwest::Response {
    let client = skilift_servers::http();
    let body = json!({"time": 217, "liftID": 21});
    client
        .post(format!("{url}{RIDE}"))
        .json(&body)
        .send()
        .await
        .unwrap()
}

/// Posts until the ride is accepted, for an API may be connecting still.
async fn is_accepted(url: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = post(url).await;
        if answer.status() == 201 {
            return;
        }
        assert!(Instant::now() < deadline, "{:?}", answer.text().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_api_that_strangers_reach_opens_only_when_it_knows_what_the_console_says() {
    let folder = TempDir::new().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap();
    std::fs::write(
        folder.path().join("resorts.toml"),
        "[[resort]]\nid = 1\nname = \"Alta\"\n",
    )
    .unwrap();
    let stack = format!("exposed-{}", std::process::id());
    let start = |name: &str, more: &[&str]| {
        let arguments = [
            &[
                "serve",
                "api",
                "--api-listen",
                "0.0.0.0:0",
                "--metrics-listen",
                "127.0.0.1:0",
                "--stack",
                &stack,
                "--data",
                "data",
            ],
            more,
        ];
        let redis = format!("redis://{nobody}");
        let environment = [
            ("SKI_AMQP_URL", &*shared_amqp_url()),
            ("SKI_REDIS_URL", &*redis),
        ];
        Service::start(folder.path(), name, &arguments.concat(), &environment)
    };
    let listed = ["--catalogue", "resorts.toml"];
    let mut unheard = start("unheard", &listed);
    let url = unheard.logged_after("public API on ").await;
    let url = url.replace("0.0.0.0", "127.0.0.1");
    unheard
        .logged_after("has not received the ingest policy from the console yet")
        .await;
    for _ in 0..20 {
        let answer = post(&url).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("cannot verify ingest keys")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unheard.drain().await;

    // Who says that everybody shall post waits for no console.
    let mut meant = start("meant", &["--open"]);
    let url = meant.logged_after("public API on ").await;
    is_accepted(&url.replace("0.0.0.0", "127.0.0.1")).await;
    meant.drain().await;

    // Nor does who asked it in a former life, and was told nothing.
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    let told = folder
        .path()
        .join(format!("data/desired-state-{stack}.json"));
    assert!(!told.exists(), "what is not known is not kept");
    std::fs::write(told, r#"{"document": null, "keys": null}"#).unwrap();
    let mut heard = start("heard", &listed);
    let url = heard.logged_after("public API on ").await;
    is_accepted(&url.replace("0.0.0.0", "127.0.0.1")).await;
    heard.drain().await;
}

#[tokio::test]
async fn a_door_that_the_console_closed_stays_closed_when_redis_is_away_at_the_start() {
    let folder = TempDir::new().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let stack = format!("doors-{}", std::process::id());
    let told = json!({
        "document": {
            "serial": 7, "worker": null, "api": null, "pause": null, "drains": [], "keys_serial": 7,
            "ingest": {"generation": {"version": 2, "hash": 1}, "value": "keys"},
        },
        "keys": {"serial": 7, "keys": []},
    });
    let start = |name: &str| {
        let data = folder.path().join("data");
        let arguments = [
            "serve",
            "api",
            "--api-listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--stack",
            &stack,
            "--data",
            data.to_str().unwrap(),
        ];
        let redis = format!("redis://{nobody}");
        let environment = [
            ("SKI_AMQP_URL", &*shared_amqp_url()),
            ("SKI_REDIS_URL", &*redis),
        ];
        Service::start(folder.path(), name, &arguments, &environment)
    };
    // Without anything told, the flags rule where no stranger comes: the ride is accepted.
    let mut open = start("open");
    let url = open.logged_after("public API on ").await;
    is_accepted(&url).await;
    open.drain().await;

    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::write(
        folder
            .path()
            .join(format!("data/desired-state-{stack}.json")),
        told.to_string(),
    )
    .unwrap();
    let mut closed = start("closed");
    let url = closed.logged_after("public API on ").await;
    let answer = post(&url).await;
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("www-authenticate"));
    closed.drain().await;

    // What cannot be read is not taken for an open door.
    std::fs::write(
        folder
            .path()
            .join(format!("data/desired-state-{stack}.json")),
        "{",
    )
    .unwrap();
    let mut broken = start("broken");
    assert_eq!(broken.wait().await.code(), Some(1));
    assert!(
        broken.has_logged("delete it only if the console"),
        "{}",
        broken.log()
    );
}

#[tokio::test]
async fn one_process_asks_for_keys_when_its_flags_say_so() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let arguments = [
        "up",
        "--ingest",
        "keys",
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ];
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    let url = up.logged_after("public API on ").await;
    assert_eq!(post(&url).await.status(), 401);
    up.drain().await;
}

#[tokio::test]
async fn what_a_console_said_on_loopback_opens_nothing_to_strangers() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let start = |name: &str, listen: &str, more: &[&str]| {
        let arguments = [
            &[
                "up",
                "--api-listen",
                listen,
                "--metrics-listen",
                "127.0.0.1:0",
                "--data",
                data.to_str().unwrap(),
            ],
            more,
        ];
        Service::start(folder.path(), name, &arguments.concat(), &[])
    };
    // Its console keeps that everybody may post.
    let mut open = start("open", "127.0.0.1:0", &[]);
    let url = open.logged_after("public API on ").await;
    assert_eq!(post(&url).await.status(), 201);
    open.drain().await;

    let mut closed = start("closed", "0.0.0.0:0", &["--ingest", "keys"]);
    let url = closed.logged_after("public API on ").await;
    let url = url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(post(&url).await.status(), 401);
    let warning = "the console's policy is `ingest: open`, but this API still requires ingest keys";
    assert_eq!(closed.log().matches(warning).count(), 1, "{}", closed.log());
    closed.drain().await;

    // Who says so gets what he says.
    let mut meant = start("meant", "0.0.0.0:0", &["--open"]);
    let url = meant.logged_after("public API on ").await;
    let url = url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(post(&url).await.status(), 201);
    meant.drain().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_before_anything_starts() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "").unwrap();
    let (file, data) = (file.to_str().unwrap(), folder.path().join("data"));
    let arguments = [
        "up",
        "--tls-cert",
        file,
        "--tls-key",
        file,
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ];
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    assert_eq!(up.wait().await.code(), Some(2));
    assert!(
        up.has_logged("empty.pem contains no certificate in PEM form"),
        "{}",
        up.log()
    );
}

#[tokio::test]
async fn one_process_serves_in_tls() {
    let folder = TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let own = own.self_signed(&key).unwrap();
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (
        put("own.pem", own.pem()),
        put("own.key", key.serialize_pem()),
    );
    let data = folder.path().join("data");
    let arguments = [
        "up",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ];
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    let url = up.logged_after("public API on ").await;
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.der().clone()).unwrap();
    let ring = rustls::crypto::ring::default_provider();
    let tls = rustls::ClientConfig::builder_with_provider(ring.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = url.trim_start_matches("https://").parse().unwrap();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve("localhost", address)
        .no_proxy()
        .build()
        .unwrap();
    let port = url.rsplit_once(':').unwrap().1;
    let ride = client.post(format!("https://localhost:{port}{RIDE}"));
    let answer = ride
        .json(&json!({"time": 217, "liftID": 21}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);

    // The load test speaks it too, to a server that it trusts.
    let load = async |trusted: &str| {
        let mut load = tokio::process::Command::new(env!("CARGO_BIN_EXE_skictl"));
        load.args(["load", "--rides", "50", "--verify", "--target"])
            .arg(format!("https://localhost:{port}"))
            .env("SSL_CERT_FILE", trusted);
        let said = load.output().await.unwrap();
        let messages = String::from_utf8(said.stderr).unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        (said.status.code(), text, messages)
    };
    let (code, text, messages) = load(&certificate).await;
    assert_eq!(code, Some(0), "{messages}");
    let verdict = text.lines().last().unwrap();
    assert!(
        verdict.starts_with("OK: no request failed, all 50 accepted rides found, "),
        "{text}"
    );
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = put("other.pem", other.cert.pem());
    let (code, _, messages) = load(&other).await;
    assert_eq!(code, Some(1), "{messages}");
    assert!(messages.contains("certificate"), "{messages}");

    // What `--ca-file` names is trusted, and nothing else.
    let ask = async |file: &str| {
        let mut client = tokio::process::Command::new(env!("CARGO_BIN_EXE_skictl"));
        client.args(["queue", "--ca-file", file, "--server"]);
        client.arg(format!("https://localhost:{port}"));
        String::from_utf8(client.output().await.unwrap().stderr).unwrap()
    };
    let answered = ask(&certificate).await;
    assert!(!answered.contains("certificate"), "{answered}");
    for file in [&*other, &put("empty.pem", String::new()), "/does/not/exist"] {
        let refused = ask(file).await;
        assert!(refused.contains("certificate"), "{file}: {refused}");
    }
    up.drain().await;
    assert!(
        up.output().contains(&format!("{url}/openapi.json")),
        "{}",
        up.output()
    );
}
