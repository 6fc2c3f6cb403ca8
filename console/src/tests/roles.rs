//! Every role against every endpoint, and against every kind of change.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use skilift_core::control::Role;

use super::harness::TestConsole;
use crate::admin::endpoints;
use crate::view::access::UserRole::{self, Admin, Operator, Viewer};

/// Everybody who may ask.
const EVERYBODY: [Option<UserRole>; 4] = [None, Some(Viewer), Some(Operator), Some(Admin)];

/// What the documentation says, too.
const TABLE: &str = include_str!("../../../docs/operations.md");

/// A URL with values in its braces.
fn filled(path: &str) -> String {
    [
        ("{section}", "worker"),
        ("{id}", "p1"),
        ("{skier}", "1"),
        ("{resort}", "1"),
        ("{season}", "2025"),
        ("{day}", "1"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (name, value)| {
        path.replace(name, value)
    })
}

#[tokio::test]
async fn every_role_meets_every_endpoint() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let mut tokens = Vec::new();
    for role in [Viewer, Operator, Admin] {
        tokens.push((role, console.token(&admin, role).await));
    }
    for endpoint in endpoints(Arc::clone(&console.console)) {
        let (method, path) = (endpoint.method, filled(endpoint.path));
        for who in EVERYBODY {
            // Logging out would end the token.
            if path == "/logout" && who.is_some() {
                continue;
            }
            let token = tokens.iter().find(|(role, _)| Some(*role) == who);
            let body = (method == "POST").then(|| json!({}));
            let token = token.map(|(_, token)| token.as_str());
            let answer = console.ask(method, &path, token, body).await;
            let refusal = match (endpoint.role, who) {
                (Some(_), None) => Some(StatusCode::UNAUTHORIZED),
                (Some(needed), Some(role)) if role < needed => Some(StatusCode::FORBIDDEN),
                _ => None,
            };
            match refusal {
                Some(status) => assert_eq!(answer.status, status, "{who:?} {method} {path}"),
                None => assert!(
                    ![401, 403, 404, 405, 500].contains(&answer.status.as_u16())
                        || path.contains("p1"),
                    "{who:?} {method} {path}: {answer:?}"
                ),
            }
        }
    }
    for (_, token) in tokens {
        let answer = console.ask("POST", "/logout", Some(&token), None).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let answer = console.ask("GET", "/whoami", Some(&token), None).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn the_documentation_lists_every_endpoint_with_its_role() {
    let console = TestConsole::new().await;
    for endpoint in endpoints(Arc::clone(&console.console)) {
        let role = endpoint
            .role
            .map_or("anybody".to_owned(), |role| role.to_string());
        let row = format!("| `{} {}` | {role} |", endpoint.method, endpoint.path);
        assert!(TABLE.contains(&row), "docs/operations.md lacks {row}");
    }
}

/// Every change with the smallest role that may plan it and that may apply it.
fn changes(node: &str) -> Vec<(Value, UserRole, UserRole)> {
    vec![
        (
            json!({"change": "set_worker", "threads": 3}),
            Operator,
            Operator,
        ),
        (
            json!({"change": "set_api", "channels": 2}),
            Operator,
            Operator,
        ),
        (
            json!({"change": "set_ingest", "keys": true}),
            Operator,
            Admin,
        ),
        (json!({"change": "pause"}), Operator, Operator),
        (
            json!({"change": "replay", "dead_letters": "all"}),
            Operator,
            Operator,
        ),
        (
            json!({"change": "discard", "dead_letters": "all"}),
            Operator,
            Operator,
        ),
        (json!({"change": "resume"}), Operator, Operator),
        (json!({"change": "drain", "node": node}), Operator, Admin),
        (
            json!({"change": "undrain", "node": node}),
            Operator,
            Operator,
        ),
        (
            json!({"change": "add_user", "name": "heidi", "role": "viewer"}),
            Admin,
            Admin,
        ),
        (
            json!({"change": "add_token", "name": "ci", "role": "viewer", "expires_in_s": 600}),
            Admin,
            Admin,
        ),
        (json!({"change": "add_key", "name": "gate"}), Admin, Admin),
    ]
}

#[tokio::test]
async fn every_role_meets_every_change() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let node = console.start_heartbeats(Role::Worker, 1).await;
    console.until_published().await;
    let mut tokens = Vec::new();
    for role in [Viewer, Operator, Admin] {
        tokens.push((role, console.token(&admin, role).await));
    }
    for (change, plans, applies) in changes(node.as_str()) {
        for (role, token) in &tokens {
            let planned = console
                .ask("POST", "/plans", Some(token), Some(change.clone()))
                .await;
            let may_plan = *role >= plans;
            assert_eq!(
                planned.status == StatusCode::OK,
                may_plan,
                "{role} {change} {planned:?}"
            );
            if !may_plan {
                assert_eq!(planned.code(), "forbidden");
                continue;
            }
            // Planned by an admin, so that only the applying is tried; and not confirmed, so that nothing changes.
            let plan = console.plan(&admin, change.clone()).await;
            let request = json!({"password": "x", "confirm": "not its name"});
            let is_harmless = plan["danger"] == "severe" || change["change"] == "add_user";
            if *role < applies {
                let answer = console.apply(token, &plan, request).await;
                assert_eq!(
                    answer.status,
                    StatusCode::FORBIDDEN,
                    "{role} {change} {answer:?}"
                );
            } else if is_harmless {
                let answer = console.apply(token, &plan, request).await;
                assert!(
                    [400, 422].contains(&answer.status.as_u16()),
                    "{role} {change} {answer:?}"
                );
            } else {
                let answer = console.apply(token, &plan, request).await;
                assert_eq!(answer.status, StatusCode::OK, "{role} {change} {answer:?}");
            }
        }
    }
    // What was refused is in the audit, with who and from where.
    let audit = console.get("/audit?limit=500", &admin).await;
    let refused = audit["entries"].as_array().unwrap().iter();
    let refused: Vec<_> = refused.filter(|line| line["outcome"] == "denied").collect();
    assert!(
        refused
            .iter()
            .any(|line| line["actor"] == "a viewer" && line["action"] == "request")
    );
    assert!(
        refused
            .iter()
            .any(|line| line["actor"] == "a operator" && line["action"] == "plan")
    );
    assert!(refused.iter().any(|line| line["actor"] == "a operator"
        && line["action"] == "apply"
        && line["plan"].is_string()));
    assert!(
        refused
            .iter()
            .all(|line| line["source_ip"] == "10.1.2.3" && line["user_agent"] == "tests")
    );
}

#[tokio::test]
async fn a_console_that_may_change_nothing_shows_everything() {
    let first = TestConsole::new().await;
    let published = first.until_published().await;
    let (folder, control_channel) = first.stop().await;
    let console = TestConsole::on(folder, control_channel, true).await;
    let admin = console.local();
    assert_eq!(console.get("/whoami", &admin).await["read_only"], true);
    console
        .until("read", async || {
            console.console.desired.document().serial == published.serial
        })
        .await;
    assert_eq!(
        console.get("/settings", &admin).await["sections"][0]["values"]["threads"],
        2
    );
    let answer = console
        .ask(
            "POST",
            "/plans",
            Some(&admin),
            Some(json!({"change": "pause"})),
        )
        .await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "refused"));
    let code = console.console.make_login_code();
    let answer = console
        .ask("POST", "/login", None, Some(json!({"code": code})))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    console.control_channel.flush();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let document = skilift_core::control::ControlChannel::document(&*console.control_channel).await;
    assert_eq!(document.unwrap(), None);
}
