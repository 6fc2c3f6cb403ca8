//! Changes through the web console: planned by a form, shown, and applied by a second one.

use axum::http::StatusCode;
use scraper::{Html, Selector};
use skilift_core::queue::DeadLetter;

use super::{SAME_ORIGIN, page, session_of, texts};
use crate::tests::harness::TestConsole;
use crate::view::access::UserRole;

/// Posts a form as a user, and returns the status, where it leads and the page.
pub(in crate::tests) async fn post(
    console: &TestConsole,
    path: &str,
    cookie: &str,
    form: &str,
) -> (StatusCode, String, Html) {
    let headers = [("cookie", cookie), SAME_ORIGIN];
    let (status, headers, text) = console.browse("POST", path, &headers, form).await;
    let location = headers
        .get("location")
        .map_or("", |to| to.to_str().unwrap());
    (status, location.to_owned(), Html::parse_document(&text))
}

/// Plans a change by its form, and returns the URL of the plan.
pub(in crate::tests) async fn plan(console: &TestConsole, cookie: &str, form: &str) -> String {
    let (status, location, shown) = post(console, "/plans", cookie, form).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{:?}", texts(&shown, "main"));
    assert!(location.starts_with("/plans/p"), "{location}");
    location
}

#[tokio::test]
async fn a_change_is_planned_shown_and_applied() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let at = plan(
        &console,
        &operator,
        "change=set_worker&threads=8&prefetch=&batch=500",
    )
    .await;
    let planned = page(&console, &at, &operator).await;
    let main = &texts(&planned, "main")[0];
    assert!(
        main.contains("skictl settings set worker --threads 8 --batch 500"),
        "{main}"
    );
    assert_eq!(texts(&planned, "#apply form button").len(), 1);
    let (status, location, _) = post(&console, &format!("{at}/apply"), &operator, "").await;
    assert_eq!((status, &location), (StatusCode::SEE_OTHER, &at));
    let applied = page(&console, &at, &operator).await;
    assert_eq!(texts(&applied, ".verdict-message"), ["Succeeded."]);
    assert_eq!(texts(&applied, "#apply form"), [""; 0]);
    // The address of the form leads back to the plan.
    let headers = [("cookie", operator.as_str())];
    let (status, headers, _) = console
        .browse("GET", &format!("{at}/apply"), &headers, "")
        .await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, at.as_str())
    );
    // A form that was sent twice changes nothing a second time.
    let (status, location, _) = post(&console, &format!("{at}/apply"), &operator, "").await;
    assert_eq!((status, &location), (StatusCode::SEE_OTHER, &at));
    let versions = page(&console, "/settings", &operator).await;
    assert_eq!(
        texts(&versions, "#sv-worker")[0].split(',').next(),
        Some("version 2")
    );
    let settings = page(&console, "/settings", &operator).await;
    let threads = Selector::parse("#worker-threads").unwrap();
    let field = settings.select(&threads).next().unwrap();
    assert_eq!(
        (field.attr("value"), field.attr("max")),
        (Some("8"), Some("256"))
    );
}

#[tokio::test]
async fn a_command_and_the_history_name_what_changes() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    console.until_published().await;
    // As the form of the page sends it, with every setting.
    let form = "change=set_worker&threads=8&prefetch=4000&batch=1000&linger_ms=25&if_version=1";
    let at = plan(&console, &operator, form).await;
    let planned = page(&console, &at, &operator).await;
    assert_eq!(
        texts(&planned, ".code"),
        [
            format!("skictl plans apply {}", at.trim_start_matches("/plans/")),
            "skictl settings set worker --threads 8 --if-version 1".to_owned()
        ]
    );
    post(&console, &format!("{at}/apply"), &operator, "").await;
    let settings = page(&console, "/settings", &operator).await;
    let values = texts(&settings, "td.wrap");
    assert_eq!(
        values[0],
        "Threads: 8; Prefetch: 4,000 rides; Batch: 1,000 rides; Linger: 25 ms"
    );
    // The entry shows the change once.
    let audit = page(&console, "/audit", &operator).await;
    let number = texts(&audit, "tbody tr:first-child th a").concat();
    let entry = page(&console, &format!("/audit/{number}"), &operator).await;
    let facts = texts(&entry, ".facts dd");
    let change = "set worker threads, all workers: 2 → 8";
    assert_eq!(facts.iter().filter(|fact| *fact == change).count(), 1);
    assert_eq!(
        texts(&entry, "main")
            .concat()
            .matches("all workers")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_wrong_value_is_named_and_changes_nothing() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    for (form, expected) in [
        (
            "change=set_worker&threads=9999",
            "Threads must be from 1 to 256, not 9999.",
        ),
        (
            "change=set_worker&threads=many",
            "Threads must be a number, not \"many\".",
        ),
        ("change=drain&node=", "The field node is empty."),
        (
            "change=%3Cscript%3E",
            "There is no change \"<script>\"; nothing was planned.",
        ),
    ] {
        let (status, _, shown) = post(&console, "/plans", &operator, form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{form}");
        assert_eq!(texts(&shown, "#err-h"), [expected]);
    }
}

#[tokio::test]
async fn each_role_sees_what_it_may_do() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let operator = session_of(&console, UserRole::Operator).await;
    let admin = session_of(&console, UserRole::Admin).await;
    for path in [
        "/",
        "/queue",
        "/dead-letters",
        "/rides",
        "/nodes",
        "/settings",
        "/audit",
        "/access",
        "/doctor",
    ] {
        for cookie in [&viewer, &operator, &admin] {
            let shown = page(&console, path, cookie).await;
            let plans = texts(&shown, "form[action='/plans']").len();
            assert!(
                cookie != &viewer || plans == 0,
                "{path} offers a viewer {plans} changes"
            );
        }
    }
    let (status, _, shown) = post(&console, "/plans", &viewer, "change=pause").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(texts(&shown, "#err-h")[0].contains("requires the role operator"));
    // A severe plan is applied by admins.
    let at = plan(&console, &operator, "change=set_ingest&ingest=keys").await;
    let shown = page(&console, &at, &operator).await;
    assert_eq!(texts(&shown, "#apply form"), [""; 0]);
    assert!(texts(&shown, "#apply")[0].contains("can be applied by the role admin"));
    let apply = format!("{at}/apply");
    let (status, _, shown) = post(&console, &apply, &admin, "confirm=wrong").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(texts(&shown, "#apply [role=alert]")[0].ends_with("Nothing was changed."));
    let shown = page(&console, &at, &admin).await;
    let name = texts(&shown, "#apply label strong").concat();
    let (status, ..) = post(
        &console,
        &format!("{at}/apply"),
        &admin,
        &format!("confirm={name}"),
    )
    .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_stale_plan_says_so_and_is_planned_again() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let first = plan(
        &console,
        &operator,
        "change=set_worker&threads=8&if_version=1",
    )
    .await;
    let second = plan(&console, &operator, "change=set_worker&threads=9").await;
    post(&console, &format!("{second}/apply"), &operator, "").await;
    let (status, location, _) = post(&console, &format!("{first}/apply"), &operator, "").await;
    assert_eq!((status, &location), (StatusCode::SEE_OTHER, &first));
    let shown = page(&console, &first, &operator).await;
    assert_eq!(texts(&shown, ".verdict-message"), ["This plan is stale."]);
    let again = Selector::parse("input[name=again]").unwrap();
    let change = shown.select(&again).next().unwrap().attr("value").unwrap();
    let form = form_of(&[("change", "again"), ("again", change)]);
    let third = plan(&console, &operator, &form).await;
    let shown = page(&console, &third, &operator).await;
    assert!(
        texts(&shown, "h1")[0].contains("9 → 8"),
        "{:?}",
        texts(&shown, "h1")
    );
}

#[tokio::test]
async fn a_new_key_is_shown_once() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let at = plan(&console, &admin, "change=add_key&name=gate&resorts=4,+19").await;
    let (status, _, shown) = post(&console, &format!("{at}/apply"), &admin, "").await;
    assert_eq!(status, StatusCode::OK);
    let field = Selector::parse("#secret").unwrap();
    let secret = shown.select(&field).next().unwrap().attr("value").unwrap();
    assert!(secret.starts_with("ski_"), "{secret}");
    for path in [at.as_str(), "/access", "/audit"] {
        let (_, _, text) = console.browse("GET", path, &[("cookie", &admin)], "").await;
        assert!(!text.contains(secret), "{path} shows the key again");
    }
}

#[tokio::test]
async fn markup_in_a_dead_letter_is_text() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let hostile =
        r#"<script>alert(1)</script><img src=x onerror=alert(1)>" data-live><!--/part-->"#;
    let letter = DeadLetter {
        id: "hostile'\"><i>".to_owned(),
        line: hostile.as_bytes().to_vec(),
        reason: hostile.to_owned(),
        message: None,
        line_number: 1,
    };
    let parts = &console.console;
    parts
        .dead_letters
        .store(&parts.state, vec![letter])
        .await
        .unwrap();
    for path in ["/dead-letters", "/dead-letters/hostile%27%22%3E%3Ci%3E"] {
        let shown = page(&console, path, &admin).await;
        assert_eq!(
            texts(&shown, "main script, main img, main i"),
            [""; 0],
            "{path}"
        );
        assert!(
            texts(&shown, "td.dead-letter")[0].contains(hostile),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_first_admin_is_created_with_the_code_of_the_console() {
    let console = TestConsole::new().await;
    let code = console.console.make_login_code();
    let fields = |password: &str, again: &str| {
        form_of(&[
            ("code", &code),
            ("name", "anna"),
            ("password", password),
            ("again", again),
        ])
    };
    for (form, expected) in [
        (
            fields("a long passphrase", "another one"),
            "The two passwords differ.",
        ),
        (
            fields("short", "short"),
            "A password must be 10 to 1024 bytes long, not 5.",
        ),
    ] {
        let (status, _, shown) = post(&console, "/setup", "", &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(texts(&shown, "[role=alert]"), [expected]);
    }
    // Neither has spent the code.
    let form = fields("a long passphrase", "a long passphrase");
    let (status, location, _) = post(&console, "/setup", "", &form).await;
    assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/"));
    let (status, location, _) = post(&console, "/setup", "", &form).await;
    assert_eq!((status, location.as_str()), (StatusCode::CONFLICT, ""));
    let (status, location, _) = post(
        &console,
        "/login",
        "",
        "name=anna&password=a+long+passphrase",
    )
    .await;
    assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/"));
}

#[tokio::test]
async fn the_password_of_a_new_user_is_typed_twice() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let form = "change=add_user&name=berta&role=viewer";
    let (status, plan, _) = post(&console, "/plans", &admin, form).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let apply = format!("{plan}/apply");
    let form = |again: &str| form_of(&[("password", "a long passphrase"), ("again", again)]);
    let (status, _, shown) = post(&console, &apply, &admin, &form("another one")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let alert = texts(&shown, "[role=alert]");
    assert_eq!(alert, ["The two passwords differ. Nothing was changed."]);
    let passwords = Selector::parse("[type=password]").unwrap();
    for field in shown.select(&passwords) {
        assert_eq!(field.attr("value"), None);
    }
    let (status, location, _) = post(&console, &apply, &admin, &form("a long passphrase")).await;
    assert_eq!((status, location), (StatusCode::SEE_OTHER, plan));
    let form = form_of(&[("name", "berta"), ("password", "a long passphrase")]);
    let (status, location, _) = post(&console, "/login", "", &form).await;
    assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/"));
}

/// A form with these fields.
fn form_of(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
        bytes.collect::<String>()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn an_acknowledged_alarm_stays_listed_until_it_ends() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let local = console.local();
    let (status, _, shown) = post(
        &console,
        "/plans",
        &operator,
        "change=acknowledge&alarm=paused",
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(texts(&shown, "#err-h"), ["No alarm paused is raised now."]);
    let is_listed = async |wanted: &str| {
        console
            .until(wanted, async || {
                let shown = page(&console, "/", &operator).await;
                let todo = texts(&shown, ".todo li");
                let mut lines = todo.iter().filter(|line| line.contains("paused by"));
                lines.any(|line| line.contains("acknowledged by") == (wanted == "acknowledged"))
            })
            .await;
    };
    for _ in 0..2 {
        console
            .change(&local, serde_json::json!({"change": "pause"}))
            .await;
        is_listed("open").await;
        let at = plan(&console, &operator, "change=acknowledge&alarm=paused").await;
        post(&console, &format!("{at}/apply"), &operator, "").await;
        is_listed("acknowledged").await;
        // The next pause is another alarm.
        console
            .change(&local, serde_json::json!({"change": "resume"}))
            .await;
        console
            .until("resumed", async || {
                let latest = console.console.monitor.latest();
                let code = crate::view::alarm::AlarmCode::Paused;
                latest.is_some_and(|seen| seen.queue.alarms.iter().all(|alarm| alarm.code != code))
            })
            .await;
    }
}

#[tokio::test]
async fn a_form_that_is_older_than_its_section_says_so() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let at = plan(&console, &operator, "change=set_worker&threads=8").await;
    post(&console, &format!("{at}/apply"), &operator, "").await;
    // As the stream of a page asks that was opened before.
    let shown = page(&console, "/settings?opened=0-9-9-9", &operator).await;
    let notices = texts(&shown, "#sc-worker .notice");
    assert!(
        notices[0].contains("was set by a operator. This form is older."),
        "{notices:?}"
    );
    assert_eq!(texts(&shown, "#sc-api .notice"), [""; 0]);
    let shown = page(&console, "/settings", &operator).await;
    assert_eq!(texts(&shown, ".notice"), [""; 0]);
}

#[tokio::test]
async fn an_open_plan_says_that_it_is_stale() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let first = plan(&console, &operator, "change=set_worker&threads=8").await;
    let second = plan(&console, &operator, "change=set_worker&threads=9").await;
    post(&console, &format!("{second}/apply"), &operator, "").await;
    let shown = page(&console, &first, &operator).await;
    assert_eq!(texts(&shown, ".verdict-message"), ["This plan is stale."]);
    assert_eq!(texts(&shown, "#apply form[action$=apply]"), [""; 0]);
}
