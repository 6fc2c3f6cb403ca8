//! What is not a request is refused with words that help.

use serde_json::json;

use crate::harness::{TestApi, send};
use crate::outside::{On, on_both_engines};
use crate::raw::Connection;

on_both_engines![
    numbers_in_the_path_are_checked_and_named,
    a_body_must_be_exactly_a_ride,
    a_body_says_what_it_is,
    a_body_has_a_limit,
    a_large_body_is_no_reason_to_miss_the_answer,
    a_client_that_waits_for_leave_is_answered_before_it_sends,
    unknown_urls_and_methods_are_answered_in_json,
];

const RIDE: &str = "/skiers/1/seasons/2025/days/12/skiers/7";

async fn numbers_in_the_path_are_checked_and_named(on: On) {
    let api = TestApi::start(on).await;
    let (resort, season) = (
        "resortID must be a whole number from 1 to 65535",
        "seasonID must be a whole number from 1900 to 2999",
    );
    let (day, skier) = (
        "dayID must be a whole number from 1 to 366",
        "skierID must be a whole number from 1 to 4294967295",
    );
    for (path, says) in [
        (
            "/skiers/x/seasons/2025/days/12/skiers/7",
            format!("{resort}, not \"x\""),
        ),
        (
            "/skiers/0/seasons/2025/days/12/skiers/7",
            format!("{resort}, not 0"),
        ),
        (
            "/skiers/-1/seasons/2025/days/12/skiers/7",
            format!("{resort}, not \"-1\""),
        ),
        (
            "/skiers/1/seasons/25/days/12/skiers/7",
            format!("{season}, not 25"),
        ),
        (
            "/skiers/1/seasons/2025/days/400/skiers/7",
            format!("{day}, not 400"),
        ),
        (
            "/skiers/1/seasons/2025/day/x/skiers/7",
            format!("{day}, not \"x\""),
        ),
        (
            "/skiers/1/seasons/2025/days/1.5/skiers/7",
            format!("{day}, not \"1.5\""),
        ),
        (
            "/skiers/1/seasons/2025/days/%20/skiers/7",
            format!("{day}, not \" \""),
        ),
        (
            "/skiers/1/seasons/2025/days/12/skiers/4294967296",
            format!("{skier}, not 4294967296"),
        ),
        (
            "/skiers/1/seasons/2025/days/12/skiers/99999999999999999999999",
            format!("{skier}, not "),
        ),
        (
            "/skiers/1/seasons/2025/days/12/skiers/%FF",
            "Invalid UTF-8 in `skierID`".to_owned(),
        ),
    ] {
        for answer in [
            api.get(path).await,
            api.post(path, &json!({"time": 1, "liftID": 1})).await,
        ] {
            assert_eq!(answer.status, 400, "{path}");
            assert!(answer.message().contains(&says), "{path}: {answer:?}");
        }
    }
}

async fn a_body_must_be_exactly_a_ride(on: On) {
    let api = TestApi::start(on).await;
    for (body, says) in [
        (
            r#"{"time":0,"liftID":21}"#,
            "time must be a whole number from 1 to 1440, not 0",
        ),
        (
            r#"{"time":1441,"liftID":21}"#,
            "time must be a whole number from 1 to 1440, not 1441",
        ),
        (
            r#"{"time":217,"liftID":-5}"#,
            "liftID must be a whole number from 1 to 1000, not -5",
        ),
        (
            r#"{"time":217.0,"liftID":21}"#,
            "time must be a whole number from 1 to 1440, not 217.0",
        ),
        (r#"{"time":1e999,"liftID":21}"#, "number out of range"),
        (
            r#"{"time":99999999999999999999999,"liftID":21}"#,
            "time must be a whole number",
        ),
        (
            r#"{"time":"217","liftID":21}"#,
            "expected time as a whole number from 1 to 1440",
        ),
        (
            r#"{"time":null,"liftID":21}"#,
            "expected time as a whole number",
        ),
        (
            r#"{"time":true,"liftID":21}"#,
            "expected time as a whole number",
        ),
        (
            r#"{"time":217,"time":217,"liftID":21}"#,
            "duplicate field `time`",
        ),
        (r#"{"time":217}"#, "missing field `liftID`"),
        (r#"{"time":217,"liftID":21"#, "the body is not JSON: EOF"),
        (
            r#"{time:217}"#,
            "the body is not JSON: key must be a string at line 1",
        ),
        (
            r#"{"time":217,"liftID":21}{}"#,
            "the body is not JSON: trailing characters",
        ),
        ("[217,21]", "it is an array instead of an object"),
        ("", "the body is not JSON: EOF"),
        ("\"x\"", "the body is not a lift ride: invalid type"),
    ] {
        let answer = api.post_text(RIDE, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.message().contains(says), "{body}: {answer:?}");
    }
    let answer = api.post_text(RIDE, r#"{"time":1441,"liftID":21}"#).await;
    let says = "time must be a whole number from 1 to 1440, not 1441";
    assert_eq!(answer.json, json!({"message": says}));
    let deep = "[".repeat(30_000);
    let answer = api.post_text(RIDE, format!("{{\"x\":{deep}")).await;
    assert!(
        answer.message().contains("the body is not JSON: EOF"),
        "{answer:?}"
    );
    let answer = api.post_text(RIDE, &b"{\"\xff\":1}"[..]).await;
    assert_eq!(answer.status, 400);
}

async fn a_body_says_what_it_is(on: On) {
    let api = TestApi::start(on).await;
    let body = r#"{"time":1,"liftID":1}"#;
    for (path, content_type, status) in [
        (RIDE, Some("application/json; charset=utf-8"), 201),
        (RIDE, Some("application/vnd.gate+json"), 201),
        (RIDE, Some("text/plain"), 415),
        (RIDE, Some("application/x-ndjson"), 415),
        (RIDE, None, 415),
        ("/resorts/1/seasons", Some("application/xml"), 415),
        ("/rides", Some("application/json"), 415),
        ("/rides", None, 415),
    ] {
        let mut request = api.request("POST", path).body(body);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = send(request).await;
        assert_eq!(answer.status, status, "{path} {content_type:?}");
        if status == 415 {
            assert!(
                answer
                    .message()
                    .contains("send the header Content-Type: application/")
            );
        }
    }
}

async fn a_body_has_a_limit(on: On) {
    let api = TestApi::start(on).await;
    let ride = r#"{"time":1,"liftID":1}"#;
    let full = format!("{}{ride}", " ".repeat(64 * 1024 - ride.len()));
    assert_eq!(api.post_text(RIDE, full.clone()).await.status, 201);
    for body in [format!(" {full}"), " ".repeat(10_000_000)] {
        let answer = api.post_text(RIDE, body).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.message(), "the body has more than 65536 bytes");
    }
}

async fn a_large_body_is_no_reason_to_miss_the_answer(on: On) {
    let api = TestApi::start(on).await;
    for (path, status) in [
        (RIDE, 415),
        ("/rides", 415),
        ("/nowhere", 404),
        ("/resorts", 405),
        ("/skiers/1/seasons/2025/days/400/skiers/7", 400),
    ] {
        let answer = send(api.request("POST", path).body(vec![0; 10_000_000])).await;
        assert_eq!(answer.status, status, "{path}");
        answer.message();
    }
}

async fn a_client_that_waits_for_leave_is_answered_before_it_sends(on: On) {
    let api = TestApi::start(on).await;
    let ask = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: 10000000\r\n\r\n"
        )
    };
    for (path, status) in [(RIDE, "413"), ("/rides", "415"), ("/nowhere", "404")] {
        let (head, _) = Connection::open(&api).await.exchange(&ask(path)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
}

async fn unknown_urls_and_methods_are_answered_in_json(on: On) {
    let api = TestApi::start(on).await;
    for path in [
        "/nowhere",
        "/skiers",
        "/resorts/",
        "/rides/1",
        "/skiers/1/seasons/2025/daysy/12/skiers/7",
        "/skiers//seasons/2025/days/12/skiers/7/",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.message().contains("not found"));
    }
    for (method, path, allow) in [
        ("DELETE", RIDE, "POST,GET,HEAD"),
        ("PUT", RIDE, "POST,GET,HEAD"),
        ("PATCH", "/resorts", "GET,HEAD"),
        ("POST", "/resorts", "GET,HEAD"),
        ("GET", "/rides", "POST"),
        ("OPTIONS", "/statistics", "GET,HEAD"),
        ("BREW", "/readyz", "GET,HEAD"),
    ] {
        let answer = send(api.request(method, path)).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
        answer.message();
    }
    let long = api.get(&format!("/{}", "x".repeat(5000))).await;
    assert!(long.message().len() < 200, "{long:?}");
}
