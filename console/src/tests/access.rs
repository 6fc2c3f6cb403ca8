//! Users, tokens, logins, keys, and those who guess.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use skilift_core::control::ControlChannel;
use skilift_core::embedded::records::WriteBatch;

use super::harness::TestConsole;
use crate::access::MAX_TOKENS;
use crate::state::Token;
use crate::view::access::UserRole;

const PASSWORD: &str = "edelweiss 1880";

async fn add_user(console: &TestConsole, admin: &str, name: &str, role: &str) {
    let change = json!({"change": "add_user", "name": name, "role": role});
    console.change_with(admin, change, Some(PASSWORD)).await;
}

async fn log_in(console: &TestConsole, name: &str, password: &str) -> super::harness::Answer {
    let request = json!({"name": name, "password": password});
    console.ask("POST", "/login", None, Some(request)).await
}

#[tokio::test]
async fn ten_thousand_wrong_passwords_cost_a_few_hashes() {
    let console = TestConsole::new().await;
    let admin = console.local();
    add_user(&console, &admin, "heidi", "viewer").await;
    let before = console.console.access.passwords.computed();
    let mut refused = 0;
    for number in 0..10_000 {
        let answer = log_in(&console, "heidi", &format!("guess {number:04}")).await;
        match answer.status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::TOO_MANY_REQUESTS => {
                assert!(answer.headers.contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    let computed = console.console.access.passwords.computed() - before;
    // Ten at once, and one more every 30 s, which the test may take on a slow machine.
    assert!((10..=14).contains(&computed), "{computed} hashes");
    assert_eq!(refused + computed, 10_000);
    // Nor do they fill the audit, and the right password waits as the wrong ones do.
    assert_eq!(
        log_in(&console, "heidi", PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    let audit = console.get("/audit?action=login&limit=500", &admin).await;
    let lines = audit["entries"].as_array().unwrap();
    assert!((11..=20).contains(&lines.len()), "{}", lines.len());
    assert!(
        lines
            .iter()
            .all(|line| line["outcome"] == "denied" && line["target"] == "heidi")
    );
}

#[tokio::test]
async fn who_has_no_name_here_costs_as_much_and_learns_nothing() {
    let console = TestConsole::new().await;
    add_user(&console, &console.local(), "heidi", "viewer").await;
    let before = console.console.access.passwords.computed();
    let wrong = log_in(&console, "heidi", "not her password").await;
    let nobody = log_in(&console, "peter", "not his password").await;
    assert_eq!(wrong.body, nobody.body);
    assert_eq!(console.console.access.passwords.computed() - before, 2);
    for strange in [
        json!({"name": "", "password": ""}),
        json!({"name": "heidi", "password": "x".repeat(5000)}),
    ] {
        let answer = console.ask("POST", "/login", None, Some(strange)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_user_logs_in_until_his_password_or_role_changes() {
    let console = TestConsole::new().await;
    let admin = console.local();
    add_user(&console, &admin, "heidi", "admin").await;
    add_user(&console, &admin, "peter", "operator").await;
    let login = log_in(&console, "peter", PASSWORD).await;
    assert_eq!(login.status, StatusCode::OK, "{login:?}");
    let token = login.body["token"].as_str().unwrap().to_owned();
    assert_eq!(
        login.body["user"],
        json!({"name": "peter", "role": "operator", "read_only": false})
    );
    assert_eq!(console.get("/whoami", &token).await["name"], "peter");
    assert!(console.get("/users", &admin).await["users"][1]["last_login_at_ms"].is_u64());
    // It counts after a restart, and its text stands nowhere.
    let console = console.restart().await;
    let admin = console.local();
    let counts = async |token: &str| {
        console
            .ask("GET", "/whoami", Some(token), None)
            .await
            .status
            == StatusCode::OK
    };
    assert!(counts(&token).await);
    console
        .change(
            &admin,
            json!({"change": "set_role", "name": "peter", "role": "viewer"}),
        )
        .await;
    assert!(!counts(&token).await);
    let change = json!({"change": "set_password", "name": "peter"});
    console
        .change_with(&admin, change, Some("another password"))
        .await;
    assert_eq!(
        log_in(&console, "peter", PASSWORD).await.status,
        StatusCode::UNAUTHORIZED
    );
    let login = log_in(&console, "peter", "another password").await;
    let token = login.body["token"].as_str().unwrap().to_owned();
    console
        .change(&admin, json!({"change": "remove_user", "name": "peter"}))
        .await;
    assert!(!counts(&token).await);
    // No token passes for somebody else in the audit.
    for name in ["heidi", "console"] {
        let change =
            json!({"change": "add_token", "name": name, "role": "viewer", "expires_in_s": 600});
        let answer = console
            .ask("POST", "/plans", Some(&admin), Some(change))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
    }
    // The last admin stays.
    for change in [
        json!({"change": "remove_user", "name": "heidi"}),
        json!({"change": "set_role", "name": "heidi", "role": "operator"}),
    ] {
        let plan = console.plan(&admin, change).await;
        assert_eq!(plan["refusals"][0]["can_override"], false);
        let answer = console
            .apply(&admin, &plan, json!({"override_reason": "all the same"}))
            .await;
        assert_eq!(answer.code(), "refused", "{answer:?}");
    }
}

#[tokio::test]
async fn passwords_and_names_have_their_bounds() {
    let console = TestConsole::new().await;
    let admin = console.local();
    for name in ["", "a b", "console", "local", &"x".repeat(65), "heidi\n"] {
        let change = json!({"change": "add_user", "name": name, "role": "viewer"});
        let answer = console
            .ask("POST", "/plans", Some(&admin), Some(change))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name:?}");
    }
    let plan = console
        .plan(
            &admin,
            json!({"change": "add_user", "name": "heidi", "role": "viewer"}),
        )
        .await;
    for password in [Value::Null, json!("short"), json!("x".repeat(1025))] {
        let answer = console
            .apply(&admin, &plan, json!({"password": password}))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let answer = console
        .apply(&admin, &plan, json!({"password": PASSWORD}))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    // No answer and no folder shows it, nor what is kept of it.
    for path in [
        "/users",
        "/audit",
        &format!("/plans/{}", plan["id"].as_str().unwrap()),
    ] {
        let text = console.get(path, &admin).await.to_string();
        assert!(
            !text.contains(PASSWORD) && !text.contains("argon2"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_login_code_given_back_expires_when_it_would_have() {
    let console = TestConsole::new().await;
    let code = console.console.make_login_code();
    let access = &console.console.access;
    let taken = access.take_login_code(&code).unwrap();
    assert!(access.take_login_code(&code).is_none());
    let expires_at_ms = taken.expires_at_ms;
    tokio::time::sleep(Duration::from_millis(5)).await;
    access.give_back_login_code(taken);
    let again = access.take_login_code(&code).unwrap();
    assert_eq!(again.expires_at_ms, expires_at_ms);
}

#[tokio::test]
async fn a_login_code_that_lets_nobody_in_is_not_used_up() {
    let console = TestConsole::new().await;
    let state = &console.console.state;
    let mut changes = WriteBatch::default();
    for number in 0..MAX_TOKENS {
        let token = Token {
            name: format!("token {number}"),
            role: UserRole::Viewer,
            by: "local".to_owned(),
            login_of: None,
            sha256: format!("{number:064x}"),
            made_at_ms: 0,
            expires_at_ms: u64::MAX,
            last_used_ms: None,
        };
        let id = format!("t{number:05}");
        state.tokens.put(&mut changes, id.as_bytes(), &token);
    }
    state.commit("fill", changes, Vec::new()).await.unwrap();
    console.console.access.reload(state).unwrap();
    let code = json!({"code": console.console.make_login_code()});
    let log_in = async || {
        console
            .ask("POST", "/login", None, Some(code.clone()))
            .await
    };
    let answer = log_in().await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.message().contains("revoke unused"), "{answer:?}");

    let mut changes = WriteBatch::default();
    state.tokens.remove(&mut changes, b"t00000");
    state
        .commit("make room", changes, Vec::new())
        .await
        .unwrap();
    console.console.access.reload(state).unwrap();
    assert_eq!(log_in().await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_code_counts_once() {
    let console = TestConsole::new().await;
    let code = console.console.make_login_code();
    let shown = json!({"code": code.to_lowercase().replace('-', " ")});
    let answer = console
        .ask("POST", "/login", None, Some(shown.clone()))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["user"]["role"], "admin");
    let again = console.ask("POST", "/login", None, Some(shown)).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    // And cannot be guessed for long.
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = console
            .ask(
                "POST",
                "/login",
                None,
                Some(json!({"code": "AAAA-BBBB-CCCC-DDDD"})),
            )
            .await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses[39], StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn tokens_end_by_revocation_and_by_time() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let token = console.token(&admin, UserRole::Viewer).await;
    assert!(token.starts_with("ski_token_"));
    let listed = console.get("/tokens", &admin).await;
    assert!(!listed.to_string().contains(&token));
    let rows = listed["tokens"].as_array().unwrap();
    let id = rows.iter().find(|row| row["name"] == "a viewer").unwrap()["id"].clone();
    console
        .change(&admin, json!({"change": "revoke_token", "id": id}))
        .await;
    assert_eq!(
        console
            .ask("GET", "/whoami", Some(&token), None)
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    for bad in ["", "ski_token_", "x", &"0".repeat(10_000)] {
        assert_eq!(
            console.ask("GET", "/whoami", Some(bad), None).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    // One whose time is over counts for nothing, and is forgotten.
    let token = console.token(&admin, UserRole::Viewer).await;
    let mut changes = skilift_core::embedded::records::WriteBatch::default();
    for (id, mut ended) in console.console.access.tokens() {
        if ended.name == "a viewer" {
            ended.expires_at_ms = 1;
            console
                .console
                .state
                .tokens
                .put(&mut changes, id.as_bytes(), &ended);
        }
    }
    console
        .console
        .state
        .commit("end a token", changes, vec![])
        .await
        .unwrap();
    console
        .console
        .access
        .reload(&console.console.state)
        .unwrap();
    assert_eq!(
        console
            .ask("GET", "/whoami", Some(&token), None)
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    let mut changes = skilift_core::embedded::records::WriteBatch::default();
    assert!(
        console
            .console
            .access
            .put_last_used(&console.console.state, &mut changes)
    );
    assert_eq!(
        console.console.access.tokens().len(),
        1,
        "only the process' own"
    );
    // It holds the folder's tables open.
    drop(changes);
    // Each start has a token of its own.
    assert_eq!(console.get("/whoami", &admin).await["role"], "admin");
    let console = console.restart().await;
    assert_eq!(
        console
            .ask("GET", "/whoami", Some(&admin), None)
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_last_key_closes_the_gates_and_opens_nothing() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.until_published().await;
    // Without a key, asking for keys would refuse everybody.
    let plan = console
        .plan(&admin, json!({"change": "set_ingest", "keys": true}))
        .await;
    assert_eq!(
        (&plan["danger"], &plan["confirm"]),
        (&json!("severe"), &json!("test"))
    );
    let made = console
        .change(
            &admin,
            json!({"change": "add_key", "name": "gate 7", "resorts": [7, 8]}),
        )
        .await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("ski_ingest_"));
    let plan = console
        .plan(&admin, json!({"change": "set_ingest", "keys": true}))
        .await;
    assert_eq!(plan["danger"], "moderate");
    console.apply(&admin, &plan, json!({})).await;
    let document = console.until_published().await;
    let keys = console
        .control_channel
        .ingest_keys()
        .await
        .unwrap()
        .unwrap();
    assert_eq!((keys.serial, keys.keys.len()), (document.keys_serial, 1));
    assert_eq!(
        keys.keys[0].sha256,
        crate::access::secret::digest_text(secret)
    );
    assert_eq!(keys.keys[0].resorts.as_ref().unwrap().len(), 2);
    let listed = console.get("/keys", &admin).await;
    assert_eq!(listed["ingest"], "keys");
    assert!(!listed.to_string().contains(secret));
    let revoke = json!({"change": "revoke_key", "id": made["created_id"]});
    let plan = console.plan(&admin, revoke.clone()).await;
    assert_eq!(
        (&plan["danger"], &plan["confirm"]),
        (&json!("severe"), &json!("gate 7"))
    );
    console.change(&admin, revoke).await;
    let document = console.until_published().await;
    assert_eq!(
        document.ingest.unwrap().value,
        skilift_core::control::Ingest::Keys
    );
    console
        .until("no key", async || {
            console
                .control_channel
                .ingest_keys()
                .await
                .unwrap()
                .unwrap()
                .keys
                .is_empty()
        })
        .await;
    let plan = console
        .plan(&admin, json!({"change": "set_ingest", "keys": false}))
        .await;
    assert_eq!(plan["danger"], "severe");
}
