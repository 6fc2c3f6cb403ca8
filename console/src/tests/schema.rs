//! Answers against the schemas by which the API is described: JSON Schema as far as the description uses it.

use serde_json::{Map, Value, json};
use skilift_core::control::Role;

use super::harness::TestConsole;

/// What of a value does not fit a schema of the document.
fn misfits(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let Some(found) = document.pointer(pointer) else {
            return vec![format!("{at}: {reference} is not described")];
        };
        return misfits(document, found, value, at);
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[word].as_array() {
            let tried = choices
                .iter()
                .map(|choice| misfits(document, choice, value, at));
            let tried: Vec<Vec<String>> = tried.collect();
            let fitting = tried.iter().filter(|misfits| misfits.is_empty()).count();
            if fitting == 0 || (word == "oneOf" && fitting > 1) {
                return vec![format!("{at}: {value} fits {fitting} of {word}: {tried:?}")];
            }
            return Vec::new();
        }
    }
    let mut found = Vec::new();
    if let Some(all) = schema["allOf"].as_array() {
        for part in all {
            found.extend(misfits(document, part, value, at));
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: no such type: {other}"),
    };
    if !types.is_empty() && !types.iter().any(is) {
        found.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(items) = value.as_array()
        && schema["items"].is_object()
    {
        for (number, item) in items.iter().enumerate() {
            let at = format!("{at}/{number}");
            found.extend(misfits(document, &schema["items"], item, &at));
        }
    }
    if let Some(fields) = value.as_object() {
        found.extend(misfitting_fields(document, schema, fields, at));
    }
    found
}

fn misfitting_fields(
    document: &Value,
    schema: &Value,
    fields: &Map<String, Value>,
    at: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    let described = schema["properties"].as_object();
    let others = &schema["additionalProperties"];
    for (name, value) in fields {
        let at = format!("{at}/{name}");
        match described.and_then(|described| described.get(name)) {
            Some(field) => found.extend(misfits(document, field, value, &at)),
            None if others.is_object() => found.extend(misfits(document, others, value, &at)),
            None if described.is_some() => found.push(format!("{at} is not described")),
            None => {}
        }
    }
    found
}

#[test]
fn what_does_not_fit_is_found() {
    let document = json!({"components": {"schemas": {"Count": {"type": ["integer", "null"]}}}});
    let schema = json!({
        "type": "object",
        "required": ["count", "word"],
        "properties": {
            "count": {"$ref": "#/components/schemas/Count"},
            "word": {"oneOf": [{"type": "string", "enum": ["one"]}, {"type": "null"}]},
        },
    });
    let of = |value: Value| misfits(&document, &schema, &value, "").len();
    assert_eq!(of(json!({"count": null, "word": "one"})), 0);
    assert_eq!(of(json!({"count": 1.5, "word": null})), 1);
    assert_eq!(of(json!({"count": 1, "word": "two"})), 1);
    assert_eq!(of(json!({"word": "one", "more": 1})), 2);
}

#[tokio::test]
async fn answers_are_as_they_are_described() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.start_heartbeats(Role::Api, 1).await;
    console.start_heartbeats(Role::Worker, 2).await;
    // Until rates are known: numbers are checked as well as their absence.
    console.until_rates_are_known().await;
    let document = console.ask("GET", "/openapi.json", None, None).await.body;
    for (path, query) in [
        ("/queue", ""),
        ("/queue/history", "?step=1"),
        ("/reconciliation", ""),
        ("/nodes", ""),
        ("/settings", ""),
    ] {
        let described =
            &document["paths"][format!("/admin/v1{path}")]["get"]["responses"]["200"]["content"];
        let schema = &described["application/json"]["schema"];
        assert!(schema.is_object(), "{path}: {described}");
        let answer = console.get(&format!("{path}{query}"), &admin).await;
        let misfits = misfits(&document, schema, &answer, path);
        assert!(misfits.is_empty(), "{misfits:#?}");
    }
    let queue = console.get("/queue", &admin).await;
    for reading in [
        &queue["oldest_ride_age_ms"],
        &queue["utilisation"]["api"]["busy"],
    ] {
        for field in ["value", "age_ms", "is_upper_bound", "error"] {
            assert!(reading.get(field).is_some(), "{field}: {reading}");
        }
    }
}
