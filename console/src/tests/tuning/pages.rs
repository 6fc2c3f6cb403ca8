//! A sweep in the web console, from its start to its report.

use axum::http::StatusCode;

use super::super::harness::WORKER;
use super::super::pages::{page, post, session_of, texts};
use super::{console, has_ended, is_measuring, until};
use crate::view::access::UserRole;

#[tokio::test]
async fn the_pages_show_a_sweep_while_it_runs_and_then_its_report() {
    let (console, _nodes, _) = console().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let admin = console.local();
    let form =
        "form=start&page=%2Ftuning&threads=4&rate=4000&p99_ms=60&repeats=1&warm_up_s=1&measure_s=5";
    let (status, location, shown) = post(&console, "/tuning", &operator, form).await;
    assert_eq!(
        (status, location.as_str()),
        (StatusCode::SEE_OTHER, "/tuning"),
        "{:?}",
        texts(&shown, "main")
    );
    until(&console, &admin, "t1", "measuring", is_measuring).await;
    for path in ["/tuning", "/tuning/t1"] {
        let shown = page(&console, path, &operator).await;
        let message = &texts(&shown, ".verdict-message")[0];
        assert!(
            message.starts_with("Sweep t1 is running"),
            "{path}: {message}"
        );
        assert_eq!(texts(&shown, ".sweep .is-measuring").len(), 1, "{path}");
        assert_eq!(
            texts(&shown, "form[action='/tuning/t1/stop'] button"),
            ["Stop and restore settings"]
        );
        let nested =
            "[data-live] :is(a, button, input), [data-live] [data-live], [data-part] [data-part]";
        assert_eq!(texts(&shown, nested), [""; 0], "{path}");
    }
    until(&console, &admin, "t1", "ended", has_ended).await;
    let shown = page(&console, "/tuning", &operator).await;
    assert_eq!(texts(&shown, "#tu-earlier tbody th"), ["t1"]);
    let shown = page(&console, "/tuning/t1", &operator).await;
    let message = &texts(&shown, ".verdict-message")[0];
    assert!(message.starts_with("1 worker with 4 threads"), "{message}");
    for (extension, content_type) in [
        ("csv", "text/csv; charset=utf-8"),
        ("json", "application/json"),
        ("html", "text/html; charset=utf-8"),
    ] {
        let (path, headers) = (
            format!("/tuning/t1.{extension}"),
            [("cookie", operator.as_str())],
        );
        let (status, headers, text) = console.browse("GET", &path, &headers, "").await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers["content-type"], content_type);
        let name = format!("attachment; filename=\"skilift-t1.{extension}\"");
        assert_eq!(headers["content-disposition"], name.as_str());
        assert!(text.contains("t1") || extension == "csv", "{text}");
    }
    let point = format!("point=1-1-4-{}", WORKER.batch);
    let (status, location, _) = post(&console, "/tuning/t1/plan", &operator, &point).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(location.starts_with("/plans/p"), "{location}");
}
