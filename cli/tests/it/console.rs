//! The console as a process: the ways into it, and what a crash in the middle of an apply leaves.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bad_start::fails_by;
use crate::embedded_disk::up_arguments;
use crate::service::Service;

/// A client of a console.
struct ApiClient {
    url: String,
    token: String,
    client: Client,
}

impl ApiClient {
    /// A client with the token in a file.
    fn by_file(url: &str, file: &Path) -> Self {
        let token = std::fs::read_to_string(file).unwrap();
        Self {
            url: url.to_owned(),
            token: token.trim().to_owned(),
            client: skilift_servers::http(),
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = self.client.get(format!("{}/admin/v1{path}", self.url));
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.client.post(format!("{}/admin/v1{path}", self.url));
        let request = request.bearer_auth(&self.token).json(body);
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// Plans and applies; fails when the console ends meanwhile.
    async fn change(&self, change: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let (status, plan) = self.post("/plans", change).await?;
        if status != StatusCode::OK {
            return Ok((status, plan));
        }
        let path = format!("/plans/{}/apply", plan["id"].as_str().unwrap());
        self.post(&path, &json!({"confirm": plan["confirm"]})).await
    }
}

async fn start(folder: &TempDir) -> (Service, String, String) {
    let data = folder.path().join("data");
    let mut up = Service::start(folder.path(), "up", &up_arguments(&data), &[]);
    let console = up.logged_after("admin API on ").await;
    let api = up.logged_after("public API on ").await;
    (up, console, api)
}

#[tokio::test]
async fn who_is_on_this_machine_has_a_token_while_the_process_lives() {
    let folder = TempDir::new().unwrap();
    let (mut up, url, api) = start(&folder).await;
    let file = folder.path().join("data/token");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let address = url.strip_prefix("http://").unwrap().replace(':', "_");
    let link = folder
        .path()
        .join(format!("state/skilift/consoles/{address}.token"));
    assert_eq!(
        std::fs::canonicalize(&link).unwrap(),
        std::fs::canonicalize(&file).unwrap()
    );
    let api_client = ApiClient::by_file(&url, &link);
    let (_, who) = api_client.get("/whoami").await;
    assert_eq!(
        who,
        json!({"name": "local", "role": "admin", "read_only": false})
    );

    // The code of the greeting, once.
    up.logged_after("health and metrics on ").await;
    let said = up.output();
    let (_, code) = said.split_once("login code       ").expect(&said);
    let code = json!({"code": code.split_whitespace().next().unwrap()});
    let (status, login) = api_client.post("/login", &code).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{login}");
    assert_eq!(
        api_client.post("/login", &code).await.unwrap().0,
        StatusCode::UNAUTHORIZED
    );

    // Rides are asked for here, too.
    let ride = format!("{api}/skiers/7/seasons/2025/days/12/skiers/123");
    let posted = skilift_servers::http()
        .post(&ride)
        .json(&json!({"time": 217, "liftID": 21}))
        .send()
        .await;
    assert_eq!(posted.unwrap().status(), StatusCode::CREATED);
    let expected = json!([{"resort": 7, "resort_name": "Resort 7", "season": "2025", "day": 12, "rides": 1, "vertical_m": 210}]);
    for _ in 0..200 {
        if api_client.get("/stats/skiers/123").await.1["days"] == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        api_client.get("/stats/skiers/123").await.1["days"],
        expected
    );
    let day = "/stats/resorts/7/seasons/2025/days/12";
    let (_, stats) = api_client.get(day).await;
    assert_eq!(
        (&stats["skiers"], &stats["rides"], &stats["vertical_m"]),
        (&json!(1), &json!(1), &json!(210))
    );
    let (_, lifts) = api_client.get(&format!("{day}/lifts")).await;
    assert_eq!(
        lifts["lifts"][0],
        json!({"lift": 21, "name": null, "rides": 1, "vertical_m": 210})
    );
    assert_eq!(
        api_client.get(&format!("{day}/hours")).await.1["hours"][3],
        json!({"hour": 3, "rides": 1})
    );
    let leader = json!({"rank": 1, "skier": 123, "rides": 1, "vertical_m": 210});
    assert_eq!(
        api_client.get(&format!("{day}/top")).await.1["skiers"],
        json!([leader])
    );

    up.drain().await;
    assert!(!file.exists() && std::fs::symlink_metadata(&link).is_err());
    let log = up.log();
    assert!(!log.contains(&api_client.token) && !log.contains(login["token"].as_str().unwrap()));

    // The old token is dead, the login lives, and what a kill leaves behind is replaced.
    let (mut up, url, _) = start(&folder).await;
    let old = ApiClient {
        url: url.clone(),
        ..api_client
    };
    assert_eq!(old.get("/whoami").await.0, StatusCode::UNAUTHORIZED);
    let logged_in = ApiClient {
        token: login["token"].as_str().unwrap().to_owned(),
        ..old
    };
    assert_eq!(logged_in.get("/whoami").await.1["name"], "login-code");
    up.kill_9().await;
    let (mut up, url, _) = start(&folder).await;
    assert_eq!(
        ApiClient::by_file(&url, &file).get("/whoami").await.0,
        StatusCode::OK
    );
    up.drain().await;
}

#[tokio::test]
async fn killed_in_the_middle_of_applies_it_neither_loses_nor_repeats_one() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("data/token");
    let mut answered = 0;
    for round in 0..8_u64 {
        let (mut up, url, _) = start(&folder).await;
        let api_client = ApiClient::by_file(&url, &file);
        let changing = async {
            for threads in (2..=256).cycle() {
                match api_client
                    .change(&json!({"change": "set_worker", "threads": threads}))
                    .await
                {
                    Ok((StatusCode::OK, outcome)) if outcome["result"] == "succeeded" => {
                        answered += 1
                    }
                    Ok((status, answer)) => assert_eq!(
                        (status, &answer["result"]),
                        (StatusCode::OK, &json!("unchanged")),
                        "{answer}"
                    ),
                    Err(_) => return,
                }
            }
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(300 + 37 * round)).await;
            up.kill_9().await;
        };
        tokio::join!(changing, killing);
    }
    let (mut up, url, _) = start(&folder).await;
    let api_client = ApiClient::by_file(&url, &file);
    let (_, settings) = api_client.get("/settings").await;
    let worker = &settings["sections"][0];
    let number = worker["generation"]["version"].as_u64().unwrap();
    // Each answered change is there, and at most one of each round that was not answered.
    let changes = number - 1;
    assert!(
        (answered..=answered + 8).contains(&changes),
        "{answered} answered, {changes} made"
    );
    assert!(answered > 8, "{answered}");
    // No version is missing, the newest one is what is set, and each was made by one plan.
    let (_, history) = api_client.get("/settings/worker/history?limit=1000").await;
    let versions = history["versions"].as_array().unwrap();
    let numbers: Vec<u64> = versions
        .iter()
        .map(|version| version["generation"]["version"].as_u64().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (number.saturating_sub(999).max(1)..=number)
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(versions[0]["values"], worker["values"]);
    let mut plans: Vec<&str> = versions
        .iter()
        .filter_map(|version| version["plan"].as_str())
        .collect();
    let made = plans.len();
    plans.sort_unstable();
    plans.dedup();
    assert_eq!(plans.len(), made);
    // No plan is left in between, and the audit has no gap.
    let (mut before, mut expected) = (String::new(), None);
    loop {
        let (_, page) = api_client.get(&format!("/audit?limit=500{before}")).await;
        for line in page["entries"].as_array().unwrap() {
            let number = line["number"].as_u64().unwrap();
            assert!(
                expected.is_none_or(|expected| number == expected),
                "{number}"
            );
            expected = Some(number - 1);
        }
        let Some(next) = page["next"].as_u64() else {
            break;
        };
        before = format!("&before={next}");
    }
    assert_eq!(expected, Some(0));
    let mut id = 1;
    while let (StatusCode::OK, plan) = api_client.get(&format!("/plans/p{id}")).await {
        assert_ne!(plan["state"], "applying", "{plan}");
        id += 1;
    }
    assert!(id > answered);
    up.drain().await;
}

#[tokio::test]
async fn beyond_loopback_it_wants_users_and_no_clear_text() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let open = |more: &[&'static str]| {
        let arguments: Vec<String> = up_arguments(&data)
            .iter()
            .chain(&["--console-listen", "0.0.0.0:0"])
            .chain(more)
            .map(ToString::to_string)
            .collect();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let says: &[&str] = if arguments.contains(&"--behind-proxy") {
                &["it has no users yet", "skictl users add"]
            } else {
                &["without TLS", "--tls-cert", "--behind-proxy"]
            };
            fails_by(&[], &arguments, 2, says).await;
        }
    };
    open(&[]).await;
    open(&["--behind-proxy"]).await;
}

#[tokio::test]
async fn alone_it_works_while_redis_and_rabbitmq_are_absent() {
    let folder = TempDir::new().unwrap();
    let absent = [
        ("SKI_AMQP_URL", "amqp://u:p@127.0.0.1:9/%2f"),
        ("SKI_REDIS_URL", "redis://127.0.0.1:9/0"),
    ];
    let arguments = [
        "serve",
        "console",
        "--data",
        "data",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let mut console = Service::start(folder.path(), "console", &arguments, &absent);
    let url = console.logged_after("admin API on ").await;
    let api_client = ApiClient::by_file(&url, &folder.path().join("data/token-skilift"));
    let (_, settings) = api_client.get("/settings").await;
    let note = settings["sections"][0]["note"].as_str().unwrap();
    assert!(note.contains("cannot be distributed"), "{note}");
    let (status, answer) = api_client
        .change(&json!({"change": "pause"}))
        .await
        .unwrap();
    assert_eq!(
        (status, &answer["result"]),
        (StatusCode::OK, &json!("succeeded")),
        "{answer}"
    );
    let (status, problem) = api_client.get("/stats/skiers/1").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    assert_eq!(api_client.get("/audit").await.0, StatusCode::OK);
    console.drain().await;
}

#[tokio::test]
async fn consoles_of_two_stacks_share_a_data_directory() {
    let folder = TempDir::new().unwrap();
    let absent = [
        ("SKI_AMQP_URL", "amqp://u:p@127.0.0.1:9/%2f"),
        ("SKI_REDIS_URL", "redis://127.0.0.1:9/0"),
    ];
    let mut consoles = Vec::new();
    for stack in ["east", "west"] {
        let arguments = [
            "serve",
            "console",
            "--data",
            "data",
            "--stack",
            stack,
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let mut console = Service::start(folder.path(), stack, &arguments, &absent);
        let url = console.logged_after("admin API on ").await;
        consoles.push((stack, url, console));
    }
    for (stack, url, console) in &mut consoles {
        let token = folder.path().join(format!("data/token-{stack}"));
        let api_client = ApiClient::by_file(url, &token);
        assert_eq!(api_client.get("/users").await.0, StatusCode::OK);
        console.drain().await;
        assert!(!token.exists());
    }
}
