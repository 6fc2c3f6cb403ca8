//! The audit, read in pages.

use serde_json::json;

use super::harness::TestConsole;

#[tokio::test]
async fn the_audit_is_read_in_pages_and_by_who_and_what() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.until_published().await;
    for threads in 3..23 {
        console
            .change(&admin, json!({"change": "set_worker", "threads": threads}))
            .await;
    }
    let mut numbers = Vec::new();
    let mut before = String::new();
    loop {
        let page = console
            .get(&format!("/audit?limit=7{before}"), &admin)
            .await;
        for line in page["entries"].as_array().unwrap() {
            numbers.push(line["number"].as_u64().unwrap());
        }
        let Some(next) = page["next"].as_u64() else {
            break;
        };
        before = format!("&before={next}");
    }
    assert_eq!(numbers, (1..=61).rev().collect::<Vec<_>>());
    let page = console
        .get("/audit?action=apply&who=local&limit=2", &admin)
        .await;
    let line = &page["entries"][0];
    assert_eq!(
        (&line["outcome"], &line["target"]),
        (&json!("succeeded"), &json!("set worker"))
    );
    assert_eq!(
        (&line["before"], &line["after"]),
        (
            &json!("set worker threads, all workers: 21"),
            &json!("set worker threads, all workers: 22")
        )
    );
    assert_eq!(page["entries"][1]["outcome"], "started");
    assert_eq!(
        console.get("/audit?who=nobody", &admin).await,
        json!({"entries": [], "next": null})
    );
}
