//! What somebody may try who has a way in and wants more than he may.

use axum::http::StatusCode;
use serde_json::json;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{BootId, ControlChannel as _, Role};
use skilift_core::queue::DeadLetter;

use super::harness::TestConsole;
use crate::registry::tests::api;
use crate::view::access::UserRole;

const PASSWORD: &str = "edelweiss 1880";

async fn console_with(user: &str, role: &str) -> TestConsole {
    let console = TestConsole::new().await;
    let change = json!({"change": "add_user", "name": user, "role": role});
    console
        .change_with(&console.local(), change, Some(PASSWORD))
        .await;
    console
}

#[tokio::test]
async fn a_login_under_way_brings_nobody_back() {
    let console = console_with("heidi", "operator").await;
    let admin = console.local();
    let log_in = || async {
        let request = json!({"name": "heidi", "password": PASSWORD});
        console.ask("POST", "/login", None, Some(request)).await
    };
    for _ in 0..5 {
        let remove = json!({"change": "remove_user", "name": "heidi"});
        let plan = console.plan(&admin, remove).await;
        let removing = console.apply(&admin, &plan, json!({"confirm": plan["confirm"]}));
        // Some of them are looked at before she is removed, and admitted after it.
        let logins = futures_util::future::join_all((0..4).map(|_| log_in()));
        let (removed, _) = tokio::join!(removing, logins);
        assert_eq!(removed.status, StatusCode::OK, "{removed:?}");
        assert_eq!(console.get("/users", &admin).await["users"], json!([]));
        let tokens = console.console.access.tokens();
        assert!(
            tokens
                .iter()
                .all(|(_, token)| token.login_of.as_deref() != Some("heidi"))
        );
        let change = json!({"change": "add_user", "name": "heidi", "role": "operator"});
        console.change_with(&admin, change, Some(PASSWORD)).await;
    }
}

#[tokio::test]
async fn the_oldest_of_many_logins_ends() {
    let console = console_with("heidi", "viewer").await;
    let mut tokens = Vec::new();
    for _ in 0..22 {
        let request = json!({"name": "heidi", "password": PASSWORD});
        let login = console.ask("POST", "/login", None, Some(request)).await;
        tokens.push(login.body["token"].as_str().unwrap().to_owned());
    }
    let mut counting = Vec::new();
    for token in &tokens {
        let who = console.ask("GET", "/whoami", Some(token), None).await;
        counting.push(who.status == StatusCode::OK);
    }
    assert_eq!(counting.iter().filter(|counts| **counts).count(), 20);
    assert!(counting[21] && !counting[0], "{counting:?}");
}

#[tokio::test]
async fn what_became_severe_is_not_applied_as_moderate() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let operator = console.token(&admin, UserRole::Operator).await;
    let letter = |number: u64| DeadLetter {
        id: format!("letter-{number}"),
        line: b"{}".to_vec(),
        reason: "not a ride".to_owned(),
        message: None,
        line_number: 1,
    };
    let (letters, state) = (&console.console.dead_letters, &console.console.state);
    letters.store(state, vec![letter(1)]).await.unwrap();
    let beyond = json!({"change": "discard", "dead_letters": {"up_to": 9_007_199_254_740_991u64}});
    let answer = console
        .ask("POST", "/plans", Some(&operator), Some(beyond))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");

    let one = json!({"change": "discard", "dead_letters": {"up_to": 1}});
    let plan = console.plan(&operator, one).await;
    assert_eq!(plan["danger"], "moderate");
    letters
        .store(state, vec![letter(2), letter(3)])
        .await
        .unwrap();
    let answer = console
        .apply(&operator, &plan, json!({"confirm": "discard"}))
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
    assert_eq!(letters.counts().dead, 3);
}

#[tokio::test]
async fn two_drains_in_one_breath_do_not_pass_as_one() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let operator = console.token(&admin, UserRole::Operator).await;
    let (one, other) = (
        console.start_heartbeats(Role::Worker, 1).await,
        console.start_heartbeats(Role::Worker, 2).await,
    );
    let drain = |node: &str| json!({"change": "drain", "node": node});
    let plan = console.plan(&operator, drain(one.as_str())).await;
    assert_eq!(plan["danger"], "moderate");
    console.change(&operator, drain(one.as_str())).await;
    let plan = console.plan(&operator, drain(other.as_str())).await;
    assert_eq!(plan["danger"], "severe", "{plan}");
    let answer = console
        .apply(&operator, &plan, json!({"confirm": other.as_str()}))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
}

#[tokio::test]
async fn refusals_fill_neither_the_audit_nor_the_disk() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let viewer = console.token(&admin, UserRole::Viewer).await;
    let operator = console.token(&admin, UserRole::Operator).await;
    for _ in 0..100 {
        let pause = json!({"change": "pause"});
        let answer = console
            .ask("POST", "/plans", Some(&viewer), Some(pause))
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let drain = json!({"change": "drain", "node": "x".repeat(100_000)});
    let answer = console
        .ask("POST", "/plans", Some(&operator), Some(drain))
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.message().len() <= 1_000);
    let audit = console.get("/audit?limit=500", &admin).await;
    let lines = audit["entries"].as_array().unwrap().iter();
    let refused: Vec<_> = lines
        .filter(|line| line["outcome"] == "refused" || line["outcome"] == "denied")
        .collect();
    let of = |action: &str| {
        refused
            .iter()
            .filter(|line| line["action"] == action)
            .count()
    };
    assert!((10..=12).contains(&of("request")), "{}", of("ask"));
    assert_eq!(of("plan"), 1);
    // A plan that no one applied changed nothing.
    console.plan(&operator, json!({"change": "pause"})).await;
    let audit = console.get("/audit?limit=1", &admin).await;
    let line = &audit["entries"][0];
    assert_eq!(
        (&line["action"], &line["outcome"]),
        (&json!("plan"), &json!("planned"))
    );
    let longest = refused.iter().map(|line| line.to_string().len()).max();
    assert!(longest < Some(1_000), "{longest:?}");
}

#[tokio::test]
async fn requiring_keys_is_severe_while_rides_arrive_without_one() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let key = json!({"change": "add_key", "name": "gate"});
    console.change(&admin, key).await;
    let require = json!({"change": "set_ingest", "keys": true});
    let plan = console.plan(&admin, require.clone()).await;
    assert_eq!(plan["danger"], "moderate", "{plan}");
    let (boot, started) = (BootId::random(), epoch_ms());
    let severe = async |unkeyed_requests: u64| {
        let mut beat = api(1, boot, started, epoch_ms(), unkeyed_requests);
        if let Report::Api(report) = &mut beat.report {
            report.unkeyed_requests = unkeyed_requests;
        }
        console.control_channel.send_heartbeat(&beat).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let plan = console.plan(&admin, require.clone()).await;
        (plan["danger"] == "severe").then(|| plan["effects"].to_string())
    };
    let mut effects = None;
    for beat in 1..60 {
        effects = severe(beat * 10).await;
        if effects.is_some() {
            break;
        }
    }
    let effects = effects.expect("a severe plan");
    assert!(
        effects.contains("requests/s arrive now without a valid key"),
        "{effects}"
    );
}
