//! The description of the API against the API.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::harness::TestConsole;
use crate::admin::endpoints;

#[tokio::test]
async fn every_endpoint_is_described_and_nothing_else() {
    let console = TestConsole::new().await;
    let answer = console.ask("GET", "/openapi.json", None, None).await;
    let document = answer.body;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let asks_for_token = operation["security"][0].get("token").is_some();
            described.insert((method.to_uppercase(), path.clone(), asks_for_token));
        }
    }
    let served: BTreeSet<_> = endpoints(Arc::clone(&console.console))
        .iter()
        .map(|endpoint| {
            let path = format!("/admin/v1{}", endpoint.path);
            (endpoint.method.to_owned(), path, endpoint.role.is_some())
        })
        .collect();
    assert_eq!(described, served);

    // What starts or changes something may depend on what cannot be reached now.
    for (path, item) in document["paths"].as_object().unwrap() {
        if let Some(responses) = item.pointer("/post/responses") {
            let depends = ["/plans", "/apply", "/tuning"];
            let depends = depends.iter().any(|end| path.ends_with(end));
            assert_eq!(responses.get("503").is_some(), depends, "{path}");
        }
    }

    let text = document.to_string();
    let mut seen = 0;
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
    // Every form of a change is there.
    let changes = document.pointer("/components/schemas/Change/oneOf");
    assert_eq!(changes.and_then(Value::as_array).map(Vec::len), Some(25));
}
