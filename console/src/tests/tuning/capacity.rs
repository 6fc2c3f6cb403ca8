//! How many nodes another load needs, by a sweep over simulated nodes.

use axum::http::StatusCode;
use serde_json::json;

use super::{console, has_ended, spec, start, until};

#[tokio::test]
async fn a_load_is_held_against_what_a_sweep_measured() {
    let (console, _nodes, admin) = console().await;
    let none = console
        .ask("GET", "/capacity?rate=100", Some(&admin), None)
        .await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY, "{none:?}");
    assert!(none.message().contains("skictl tune run"), "{none:?}");
    let id = start(&console, &admin, spec(&[4])).await;
    until(&console, &admin, &id, "ended", has_ended).await;

    // A worker with four threads can store 6,000 rides/s, and met the latency while it stored 2,500.
    let found = console.get("/capacity?rate=1500&peak=2", &admin).await;
    assert_eq!(
        (&found["sweep"], &found["peak_per_s"]),
        (&json!(id), &json!(3_000.0))
    );
    let options = found["options"].as_array().unwrap().iter();
    let of_four: Vec<_> = options.filter(|option| option["threads"] == 4).collect();
    let option = of_four[0];
    assert_eq!(
        (&option["workers"], &option["is_measured"]),
        (&json!(2), &json!(false)),
        "{found:#}"
    );
    let near = |field: &str, expected: f64| {
        let value = option[field].as_f64().unwrap();
        assert!((value / expected - 1.0).abs() < 0.1, "{field}: {value}");
    };
    near("saturation_per_s", 12_000.0);
    near("capacity_per_s", 5_000.0);
    near("max_utilisation", 0.417);
    let less = &option["with_one_worker_less"];
    assert_eq!(
        (&less["is_enough"], &less["keeps_up"]),
        (&json!(false), &json!(true)),
        "{less}"
    );
    assert_eq!(option["usd_per_h"], json!(null));
    // Not beyond twice what was measured, and not within a latency that was never met.
    for (query, why) in [
        ("rate=20000", "more than 2 workers"),
        ("rate=100&p99_ms=1", "no measurement within 1 ms"),
    ] {
        let found = console.get(&format!("/capacity?{query}"), &admin).await;
        assert_eq!(found["options"], json!([]), "{found:#}");
        assert!(found["notes"].to_string().contains(why), "{found:#}");
    }
    for (query, why) in [
        ("rate=-1", "rate must be positive"),
        ("rate=100&peak=0.5", "peak must be at least 1"),
        ("rate=100&sweep=t9", "does not exist"),
    ] {
        let refused = console
            .ask("GET", &format!("/capacity?{query}"), Some(&admin), None)
            .await;
        assert!(
            refused.status.is_client_error() && refused.message().contains(why),
            "{refused:?}"
        );
    }
}
