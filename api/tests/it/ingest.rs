//! Who may post rides: with which key, for which resort, and until when.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skilift_api::IngestPolicy;
use skilift_core::control::{DesiredState, Document, Ingest, IngestKey, IngestKeys, Versioned};
use skilift_core::health::Readiness;
use skilift_core::ride::ResortId;

use crate::harness::{Answer, TestApi, ride, send};
use crate::outside::{On, on_both_engines};

on_both_engines![
    every_post_asks_for_a_key_that_covers_its_resort,
    a_key_counts_until_it_is_revoked_and_no_longer,
    keys_that_cannot_be_read_let_nobody_in,
    a_closed_door_is_closed_from_the_first_request_on,
    no_console_opens_what_strangers_reach,
    until_the_console_could_be_asked_strangers_are_refused_and_others_are_not,
    until_the_console_could_be_asked_no_key_is_called_wrong,
    a_revoked_key_ends_an_upload_that_is_under_way,
    questions_need_a_key_only_where_that_is_asked,
];

const HERE: &str = "ski_ingest_here";
const THERE: &str = "ski_ingest_there";
const EVERYWHERE: &str = "ski_ingest_everywhere";
const RIDE: &str = "/skiers/1/seasons/2025/days/12/skiers/7";

/// Every URL that takes a POST, as the API's own document names it, and the ones that stand for it here.
const POSTS: [(&str, &str); 4] = [
    (
        "/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}",
        RIDE,
    ),
    (
        "/skiers/{resortID}/seasons/{seasonID}/day/{dayID}/skiers/{skierID}",
        "/skiers/1/seasons/2025/day/12/skiers/7",
    ),
    ("/resorts/{resortID}/seasons", "/resorts/1/seasons"),
    ("/rides", "/rides"),
];

fn resorts(ids: &[u64]) -> Option<Vec<ResortId>> {
    Some(ids.iter().map(|id| ResortId::new(*id).unwrap()).collect())
}

fn key(text: &str, resorts: Option<Vec<ResortId>>) -> IngestKey {
    IngestKey {
        id: format!("id of {text}"),
        sha256: HEXLOWER.encode(&Sha256::digest(text)),
        resorts,
    }
}

/// The keys of this test, but for those that were revoked.
fn keys(revoked: &[&str]) -> Vec<IngestKey> {
    let all = [
        key(HERE, resorts(&[1])),
        key(THERE, resorts(&[2, 3])),
        key(EVERYWHERE, None),
    ];
    let counts = |key: &IngestKey| revoked.iter().all(|text| key.id != format!("id of {text}"));
    all.into_iter().filter(counts).collect()
}

fn desired_state(serial: u64, ingest: Ingest, keys: Option<Vec<IngestKey>>) -> DesiredState {
    DesiredState {
        is_known: true,
        document: Some(Arc::new(Document {
            serial,
            ingest: Some(Versioned::new(serial, ingest)),
            keys_serial: serial,
            ..Document::default()
        })),
        keys: keys.map(|keys| Arc::new(IngestKeys { serial, keys })),
        drain: None,
        is_paused: false,
    }
}

impl TestApi {
    /// Tells the API, and waits until it says that it follows.
    async fn tell(&self, desired_state: DesiredState) {
        let (tells, running) = self.node.as_ref().unwrap();
        let (ingest, keys) = (desired_state.document.clone(), desired_state.keys_serial());
        tells.send(desired_state).unwrap();
        let began = std::time::Instant::now();
        let serial = || match running.status().report {
            skilift_core::control::heartbeat::Report::Api(report) => report.keys_serial,
            other => panic!("{other:?}"),
        };
        while serial() != keys {
            assert!(began.elapsed() < Duration::from_secs(60), "{ingest:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Keys and mode change in one step; a mode alone shows in no report.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn post_with(&self, path: &str, key: Option<&str>, body: String) -> Answer {
        let request = self.request("POST", path).body(body);
        let kind = if path == "/rides" {
            "application/x-ndjson"
        } else {
            "application/json"
        };
        let request = request.header("content-type", kind);
        send(match key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        })
        .await
    }
}

/// What is posted there: for the bulk, a ride of resort 1.
fn body(path: &str) -> String {
    match path {
        "/rides" => line(1, 217),
        "/resorts/1/seasons" => json!({"year": "2025"}).to_string(),
        _ => json!({"time": 217, "liftID": 21}).to_string(),
    }
}

fn line(resort: u64, minute: u64) -> String {
    serde_json::to_string(&ride(resort, 12, 7, minute, 21)).unwrap() + "\n"
}

fn assert_no_key(answer: &Answer, path: &str) {
    assert_eq!(answer.status, 401, "{path}: {answer:?}");
    assert_eq!(
        answer.headers["www-authenticate"],
        r#"Bearer realm="skilift""#
    );
    assert!(
        answer
            .message()
            .contains("Authorization: Bearer ski_ingest_")
    );
}

fn assert_wrong_key(answer: &Answer, path: &str) {
    assert_eq!(answer.status, 401, "{path}: {answer:?}");
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
}

async fn every_post_asks_for_a_key_that_covers_its_resort(on: On) {
    let api = TestApi::start(on).await;
    let document = api.ask("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let mut posts: Vec<&str> = paths
        .filter(|(_, item)| item.get("post").is_some())
        .map(|(path, item)| {
            assert!(item["post"]["responses"].get("401").is_some(), "{path}");
            path.as_str()
        })
        .collect();
    let mut tested = POSTS.map(|(path, _)| path);
    posts.sort_unstable();
    tested.sort_unstable();
    assert_eq!(posts, tested, "test every POST that there is");

    api.tell(desired_state(1, Ingest::Keys, Some(keys(&[]))))
        .await;
    for (_, path) in POSTS {
        assert_no_key(&api.post_with(path, None, body(path)).await, path);
        // Before anything is said of what was sent.
        assert_no_key(&api.post_with(path, None, "{".to_owned()).await, path);
        for wrong in ["ski_ingest_other", "ski_ingest_her", "ski_ingest_heree"] {
            assert_wrong_key(&api.post_with(path, Some(wrong), body(path)).await, path);
        }
        let elsewhere = api.post_with(path, Some(THERE), body(path)).await;
        if path == "/rides" {
            assert_eq!(elsewhere.status, 200, "{elsewhere:?}");
            assert_eq!(elsewhere.json["rejected"], 1);
            let error = &elsewhere.json["errors"][0];
            assert_eq!(error["line"], 1);
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("is not valid for resort 1"), "{message}");
        } else {
            assert_eq!(elsewhere.status, 403, "{path}: {elsewhere:?}");
            assert!(elsewhere.message().contains("is not valid for resort 1"));
            let challenge = elsewhere.headers["www-authenticate"].to_str().unwrap();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
        }
        for right in [HERE, EVERYWHERE] {
            let answer = api.post_with(path, Some(right), body(path)).await;
            let done = if path == "/rides" { 200 } else { 201 };
            assert_eq!(answer.status, done, "{path}: {answer:?}");
        }
    }
    let basic = api.request("POST", RIDE).basic_auth("gate", Some(HERE));
    assert_no_key(
        &send(basic.json(&json!({"time": 1, "liftID": 1}))).await,
        RIDE,
    );
    // The refused bulk line is another minute's, and nothing refused was stored.
    let mixed = line(2, 300) + &line(1, 301);
    let answer = api.post_with("/rides", Some(HERE), mixed).await;
    assert_eq!(
        (&answer.json["accepted"], &answer.json["rejected"]),
        (&json!(1), &json!(1))
    );
    let stored = api.queued(2).await;
    assert!(
        stored.iter().all(|ride| ride.resort.get() == 1),
        "{stored:?}"
    );
}

async fn a_key_counts_until_it_is_revoked_and_no_longer(on: On) {
    let api = TestApi::start(on).await;
    assert_eq!(api.post_with(RIDE, None, body(RIDE)).await.status, 201);
    api.tell(desired_state(1, Ingest::Keys, Some(keys(&[]))))
        .await;
    assert_eq!(
        api.post_with(RIDE, Some(HERE), body(RIDE)).await.status,
        201
    );
    api.tell(desired_state(2, Ingest::Keys, Some(keys(&[HERE]))))
        .await;
    assert_wrong_key(&api.post_with(RIDE, Some(HERE), body(RIDE)).await, RIDE);
    let other = api.post_with(RIDE, Some(EVERYWHERE), body(RIDE)).await;
    assert_eq!(other.status, 201);
    // The last key goes: nobody comes in.
    api.tell(desired_state(3, Ingest::Keys, Some(Vec::new())))
        .await;
    for key in [HERE, THERE, EVERYWHERE] {
        assert_wrong_key(&api.post_with(RIDE, Some(key), body(RIDE)).await, RIDE);
    }
    assert_no_key(&api.post_with(RIDE, None, body(RIDE)).await, RIDE);
    // Only who says that it is open opens it.
    api.tell(desired_state(4, Ingest::Open, Some(Vec::new())))
        .await;
    assert_eq!(api.post_with(RIDE, None, body(RIDE)).await.status, 201);
}

async fn keys_that_cannot_be_read_let_nobody_in(on: On) {
    let api = TestApi::start(on).await;
    api.tell(desired_state(1, Ingest::Keys, Some(keys(&[]))))
        .await;
    let mut newer = desired_state(2, Ingest::Keys, Some(keys(&[])));
    newer.keys = desired_state(1, Ingest::Keys, Some(keys(&[]))).keys;
    api.tell(newer).await;
    let answer = api.post_with(RIDE, Some(HERE), body(RIDE)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(
        answer.message().contains("cannot verify ingest keys"),
        "{answer:?}"
    );
    api.tell(desired_state(2, Ingest::Keys, Some(keys(&[]))))
        .await;
    assert_eq!(
        api.post_with(RIDE, Some(HERE), body(RIDE)).await.status,
        201
    );
}

async fn a_closed_door_is_closed_from_the_first_request_on(on: On) {
    let ingest_policy = IngestPolicy {
        ingest: Ingest::Keys,
        ..IngestPolicy::default()
    };
    let api = TestApi::start_with_policy(on, ingest_policy).await;
    assert_no_key(&api.post_with(RIDE, None, body(RIDE)).await, RIDE);
    assert_wrong_key(&api.post_with(RIDE, Some(HERE), body(RIDE)).await, RIDE);
    // A console that says nothing of it opens nothing.
    api.tell(DesiredState {
        is_known: true,
        document: Some(Arc::default()),
        ..DesiredState::default()
    })
    .await;
    assert_no_key(&api.post_with(RIDE, None, body(RIDE)).await, RIDE);
}

async fn no_console_opens_what_strangers_reach(on: On) {
    let ingest_policy = IngestPolicy {
        ingest: Ingest::Keys,
        always_require_keys: true,
        ..IngestPolicy::default()
    };
    let api = TestApi::start_with_policy(on, ingest_policy).await;
    api.tell(desired_state(1, Ingest::Open, Some(keys(&[]))))
        .await;
    for (_, path) in POSTS {
        assert_no_key(&api.post_with(path, None, body(path)).await, path);
    }
    let with_key = api.post_with(RIDE, Some(HERE), body(RIDE)).await;
    assert_eq!(with_key.status, 201, "{with_key:?}");
}

/// Nobody could be asked yet.
fn unheard() -> DesiredState {
    DesiredState::default()
}

async fn until_the_console_could_be_asked_strangers_are_refused_and_others_are_not(on: On) {
    let ingest_policy = IngestPolicy {
        is_exposed: true,
        ..IngestPolicy::default()
    };
    let api = TestApi::start_with_policy(on, ingest_policy).await;
    api.tell(unheard()).await;
    for (_, path) in POSTS {
        for key in [None, Some(HERE)] {
            let answer = api.post_with(path, key, body(path)).await;
            assert_eq!(answer.status, 503, "{path}: {answer:?}");
            assert_eq!(answer.headers["retry-after"], "1");
            assert!(
                answer.message().contains("cannot verify ingest keys"),
                "{answer:?}"
            );
        }
    }
    let health = api.health();
    assert_eq!(health.status, Readiness::Unavailable);
    assert!(
        health
            .message
            .unwrap()
            .contains("has not received the ingest policy")
    );
    assert_eq!(api.get("/readyz").await.status, 503);
    assert_eq!(api.get("/resorts").await.status, 200);
    // It could be asked, and says nothing: the flags rule.
    api.tell(DesiredState {
        is_known: true,
        ..DesiredState::default()
    })
    .await;
    assert_eq!(api.post_with(RIDE, None, body(RIDE)).await.status, 201);
    api.until(Readiness::Ready).await;

    // Where no stranger comes, or everybody is meant, the flags rule at once.
    let api = TestApi::start_with_policy(on, IngestPolicy::default()).await;
    api.tell(unheard()).await;
    assert_eq!(api.post_with(RIDE, None, body(RIDE)).await.status, 201);
}

async fn until_the_console_could_be_asked_no_key_is_called_wrong(on: On) {
    for is_exposed in [false, true] {
        let ingest_policy = IngestPolicy {
            ingest: Ingest::Keys,
            is_exposed,
            always_require_keys: is_exposed,
            ..IngestPolicy::default()
        };
        let api = TestApi::start_with_policy(on, ingest_policy).await;
        api.tell(unheard()).await;
        assert_no_key(&api.post_with(RIDE, None, body(RIDE)).await, RIDE);
        // A gate that is told 401 throws its rides away.
        let answer = api.post_with(RIDE, Some(HERE), body(RIDE)).await;
        assert_eq!(answer.status, 503, "{answer:?}");
    }
}

async fn a_revoked_key_ends_an_upload_that_is_under_way(on: On) {
    let api = TestApi::start(on).await;
    api.tell(desired_state(1, Ingest::Keys, Some(keys(&[]))))
        .await;
    let (sends, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let chunks =
        futures_util::stream::unfold(
            body,
            |mut body| async move { Some((body.recv().await?, body)) },
        );
    let request = api
        .request("POST", "/rides")
        .header("content-type", "application/x-ndjson")
        .header("authorization", format!("Bearer {HERE}"))
        .body(reqwest::Body::wrap_stream(chunks));
    let sending = async {
        sends.send(Ok(line(1, 1))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        api.tell(desired_state(2, Ingest::Keys, Some(keys(&[HERE]))))
            .await;
        sends.send(Ok(line(1, 2))).await.unwrap();
        drop(sends);
    };
    let (answer, ()) = tokio::join!(send(request), sending);
    assert_wrong_key(&answer, "/rides");
    assert_eq!(
        (&answer.json["accepted"], &answer.json["nextLine"]),
        (&json!(1), &json!(2))
    );
    let stored = api.queued(1).await;
    assert!(stored.contains(&ride(1, 12, 7, 1, 21)));
}

async fn questions_need_a_key_only_where_that_is_asked(on: On) {
    let api = TestApi::start(on).await;
    api.tell(desired_state(1, Ingest::Keys, Some(keys(&[]))))
        .await;
    assert_eq!(api.get("/resorts").await.status, 200);

    let ingest_policy = IngestPolicy {
        read_keys: true,
        ..IngestPolicy::default()
    };
    let api = TestApi::start_with_policy(on, ingest_policy).await;
    api.tell(desired_state(1, Ingest::Open, Some(keys(&[]))))
        .await;
    for path in ["/resorts", "/skiers/7/vertical?resort=1", RIDE] {
        assert_no_key(&api.get(path).await, path);
        let with = |key: &str| api.request("GET", path).bearer_auth(key);
        assert_wrong_key(&send(with("ski_ingest_other")).await, path);
        let answer = send(with(THERE)).await;
        assert!([200, 404].contains(&answer.status.as_u16()), "{answer:?}");
    }
    for path in ["/readyz", "/openapi.json", "/statistics"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let posted: Value = api.post_with(RIDE, None, body(RIDE)).await.json;
    assert_eq!(posted, Value::Null);
    assert_eq!(api.queued(1).await.len(), 1);
}
