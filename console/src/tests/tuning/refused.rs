//! Sweeps that are refused, and what the audit says of them.

use axum::http::StatusCode;
use serde_json::json;

use super::{console, spec};
use crate::view::access::UserRole;

#[tokio::test]
async fn what_is_refused_is_audited() {
    let (console, _nodes, admin) = console().await;
    let operator = console.token(&admin, UserRole::Operator).await;
    let mut without = spec(&[1, 2]);
    without["objective"] = json!({});
    let mut foreign = spec(&[1, 2]);
    foreign["load"]["target"] = json!("http://127.0.0.1:9");
    for (token, path, body, status, outcome) in [
        (
            &operator,
            "/tuning",
            Some(foreign),
            StatusCode::FORBIDDEN,
            ("start a sweep", "denied"),
        ),
        (
            &admin,
            "/tuning",
            Some(without),
            StatusCode::BAD_REQUEST,
            ("start a sweep", "refused"),
        ),
        (
            &admin,
            "/tuning/t7/resume",
            None,
            StatusCode::NOT_FOUND,
            ("resume t7", "refused"),
        ),
    ] {
        let answer = console.ask("POST", path, Some(token), body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        let audit = console.get("/audit?action=tune&limit=1", &admin).await;
        let entry = &audit["entries"][0];
        assert_eq!(
            (&entry["target"], &entry["outcome"]),
            (&json!(outcome.0), &json!(outcome.1)),
            "{audit:#}"
        );
    }
}
