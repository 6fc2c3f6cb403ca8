//! Forms that are refused: their pages are shown again, with the reason and with what was typed.

use axum::http::StatusCode;
use scraper::{Html, Selector};
use skilift_core::queue::DeadLetter;

use super::{page, plan, post, session_of, texts};
use crate::tests::harness::TestConsole;
use crate::view::access::UserRole;

/// The value of a field.
pub(in crate::tests) fn value(shown: &Html, selector: &str) -> String {
    let field = Selector::parse(selector).unwrap();
    let field = shown.select(&field).next();
    let value = field.and_then(|field| field.attr("value"));
    value.unwrap_or("no such field").to_owned()
}

/// Asks for a page that refuses its form.
async fn refused(console: &TestConsole, path: &str, cookie: &str) -> Html {
    let (status, _, text) = console.browse("GET", path, &[("cookie", cookie)], "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    Html::parse_document(&text)
}

#[tokio::test]
async fn refused_settings_stay_in_their_form() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let settings = page(&console, "/settings", &operator).await;
    let from = value(&settings, "input[name=page]");
    assert!(from.starts_with("/settings?opened="), "{from}");
    for (fields, expected) in [
        (
            "threads=9999",
            "Threads must be from 1 to 256, not 9999. Nothing was changed.",
        ),
        (
            "threads=9999&linger_ms=soon",
            "Linger must be a number, not \"soon\". Nothing was changed.",
        ),
        (
            "threads=9999&linger_ms=10001",
            "Threads must be from 1 to 256, not 9999. Nothing was changed.",
        ),
        (
            "threads=8&linger_ms=10001",
            "Linger must be from 0 to 10000, not 10001. Nothing was changed.",
        ),
    ] {
        let form = format!("change=set_worker&form=set_worker&page={from}&batch=321&{fields}");
        let (status, _, shown) = post(&console, "/plans", &operator, &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{fields}");
        assert_eq!(texts(&shown, "h1"), ["Settings"]);
        assert_eq!(texts(&shown, "[role=alert]"), [expected]);
        assert_eq!(
            texts(&shown, "[data-live] [role=alert], [data-part] [role=alert]"),
            [""; 0]
        );
        assert_eq!(value(&shown, "#worker-batch"), "321");
        let threads = fields.split(['=', '&']).nth(1).unwrap();
        assert_eq!(value(&shown, "#worker-threads"), threads);
        // Other forms show what is set.
        assert_eq!(value(&shown, "#api-channels"), "1");
        // Another attempt comes from the same page.
        assert!(value(&shown, "input[name=back]").starts_with("/settings?opened="));
    }
    let settings = page(&console, "/settings", &operator).await;
    assert_eq!(value(&settings, "#worker-threads"), "2");
    assert_eq!(texts(&settings, "[role=alert]"), [""; 0]);
}

#[tokio::test]
async fn a_refused_name_stays_in_its_form_and_a_password_does_not() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let form = "change=add_user&form=add_user&page=%2Faccess&name=anna+b&role=operator&password=a+long+one";
    let (status, _, shown) = post(&console, "/plans", &admin, form).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let alerts = texts(&shown, "[role=alert]");
    assert_eq!(alerts.len(), 1);
    assert!(alerts[0].starts_with("A user name must be "), "{alerts:?}");
    assert_eq!(value(&shown, "#u-name"), "anna b");
    assert_eq!(texts(&shown, "#u-role [selected]"), ["operator"]);
    assert_eq!(value(&shown, "#t-name"), "");
    assert_eq!(texts(&shown, "#t-role [selected]"), [""; 0]);
    assert_eq!(texts(&shown, "#t-for [selected]"), ["90 days"]);
    assert!(!shown.html().contains("a long one"));

    for (fields, expected) in [
        (
            "change=add_key&form=add_key&name=gate&resorts=4%2C+x",
            "Resorts must be IDs such as 4, 19, not \"x\". Nothing was changed.",
        ),
        (
            "change=add_key&form=add_key&name=&resorts=4",
            "The field Key name is empty. Nothing was changed.",
        ),
    ] {
        let form = format!("{fields}&page=%2Faccess");
        let (_, _, shown) = post(&console, "/plans", &admin, &form).await;
        assert_eq!(texts(&shown, "[role=alert]"), [expected]);
        let resorts = value(&shown, "#k-resorts");
        assert!(resorts.starts_with('4'), "{resorts}");
    }
}

#[tokio::test]
async fn what_others_changed_meanwhile_is_not_set_back() {
    let console = TestConsole::new().await;
    console.until_published().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let settings = page(&console, "/settings", &operator).await;
    let version = value(&settings, "input[name=if_version]");
    let threads = value(&settings, "#worker-threads");
    let admin = console.local();
    let change = serde_json::json!({"change": "set_worker", "threads": 7});
    console.change(&admin, change).await;
    // Only the batch was typed.
    let form = format!(
        "change=set_worker&form=set_worker&page=%2Fsettings&if_version={version}&threads={threads}&batch=321"
    );
    let (status, _, shown) = post(&console, "/plans", &operator, &form).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(value(&shown, "#worker-threads"), "7");
    assert_eq!(value(&shown, "#worker-batch"), "321");
    assert_ne!(value(&shown, "input[name=if_version]"), version);
}

#[tokio::test]
async fn a_form_that_is_sent_after_the_session_has_ended_leads_back_to_its_page() {
    let console = TestConsole::new().await;
    let headers = [
        ("host", "console.example"),
        ("referer", "http://console.example/settings?opened=1"),
        ("origin", "http://console.example"),
    ];
    let (status, found, _) = console
        .browse("POST", "/plans", &headers, "change=pause")
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let login = found["location"].to_str().unwrap();
    assert_eq!(login, "/login?ended=true&next=%2Fsettings%3Fopened%3D1");
    let (_, _, text) = console.browse("GET", login, &[], "").await;
    let shown = Html::parse_document(&text);
    assert!(texts(&shown, "[role=alert]")[0].contains("session has ended"));
    assert_eq!(value(&shown, "input[name=next]"), "/settings?opened=1");
}

#[tokio::test]
async fn all_with_a_reason_are_those_and_no_others() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let letter = |number: u64, reason: &str| DeadLetter {
        id: format!("letter-{number}"),
        reason: reason.to_owned(),
        line: b"poison".to_vec(),
        message: None,
        line_number: 1,
    };
    let letters = vec![
        letter(1, "no lift"),
        letter(2, "no day"),
        letter(3, "no lift"),
    ];
    let state = &console.console.state;
    console
        .console
        .dead_letters
        .store(state, letters)
        .await
        .unwrap();
    let shown = page(&console, "/dead-letters?reason=no+lift", &operator).await;
    assert_eq!(value(&shown, "input[name=reason]"), "no lift");
    let form = "change=discard_all&form=dead_letters&page=%2Fdead-letters&reason=no+lift";
    let at = plan(&console, &operator, form).await;
    let made = console.get(&at, &console.local()).await;
    assert_eq!(
        made["change"]["dead_letters"],
        serde_json::json!({"reason": {"text": "no lift", "up_to": 3}}),
        "{made:#}"
    );
}

#[tokio::test]
async fn a_form_without_its_page_and_one_that_is_not_permitted_are_error_pages() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    for (fields, status) in [
        ("name=a+b&page=%2Faccess", StatusCode::FORBIDDEN),
        ("name=a", StatusCode::FORBIDDEN),
    ] {
        let form = format!("change=add_user&form=add_user&role=viewer&{fields}");
        let (found, _, shown) = post(&console, "/plans", &operator, &form).await;
        assert_eq!(found, status, "{fields}");
        assert!(texts(&shown, "#err-h")[0].contains("requires the role admin"));
        // The navigation stays.
        assert!(texts(&shown, "nav a").contains(&"Overview".to_owned()));
    }
    for page in ["", "page=%2Flogout", "page=https%3A%2F%2Fevil.example"] {
        let form = format!("change=set_worker&form=set_worker&threads=many&{page}");
        let (found, _, shown) = post(&console, "/plans", &operator, &form).await;
        assert_eq!(found, StatusCode::BAD_REQUEST, "{page}");
        assert_eq!(
            texts(&shown, "#err-h"),
            ["Threads must be a number, not \"many\"."]
        );
    }
}

#[tokio::test]
async fn a_refused_rate_keeps_the_selection() {
    let console = TestConsole::new().await;
    let operator = session_of(&console, UserRole::Operator).await;
    let letter = |id: &str| DeadLetter {
        id: id.to_owned(),
        line: b"no ride".to_vec(),
        reason: "it is no JSON".to_owned(),
        message: None,
        line_number: 1,
    };
    let parts = &console.console;
    let letters = vec![letter("a"), letter("b")];
    parts
        .dead_letters
        .store(&parts.state, letters)
        .await
        .unwrap();
    let shown = page(&console, "/dead-letters", &operator).await;
    assert_eq!(value(&shown, "#rate"), "100");
    let form = "change=replay_all&form=dead_letters&page=%2Fdead-letters&per_s=fast&id=b";
    let (status, _, shown) = post(&console, "/plans", &operator, form).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        texts(&shown, "[role=alert]"),
        ["Replay all at must be a number, not \"fast\". Nothing was changed."]
    );
    assert_eq!(value(&shown, "#rate"), "fast");
    assert_eq!(value(&shown, "input[name=id][checked]"), "b");
    assert_eq!(texts(&shown, "input[name=id][checked]").len(), 1);
}

#[tokio::test]
async fn a_refused_confirmation_stays_in_the_form_of_the_plan() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let at = plan(&console, &admin, "change=set_ingest&ingest=keys").await;
    let apply = format!("{at}/apply");
    let (status, _, shown) = post(&console, &apply, &admin, "confirm=wrong").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let alerts = texts(&shown, "#apply [role=alert]");
    assert!(alerts[0].contains("is a severe plan: type "), "{alerts:?}");
    assert_eq!(value(&shown, "#confirm"), "wrong");
    // No stream replaces it.
    assert_eq!(texts(&shown, "#stream"), [""; 0]);
}

#[tokio::test]
async fn a_resort_is_named_and_a_day_has_a_season() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let headers = [("cookie", viewer.as_str())];
    for resort in ["7", "Resort+7"] {
        let path = format!("/rides?resort={resort}&season=2025&day=12");
        let (status, headers, _) = console.browse("GET", &path, &headers, "").await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{resort}");
        assert_eq!(headers["location"], "/rides/resorts/7/seasons/2025/days/12");
    }
    for (query, expected) in [
        (
            "resort=Resort+7&season=&day=12",
            "The season is missing: enter the season of this day.",
        ),
        (
            "resort=&season=2025&day=12",
            "The resort is missing: enter its ID or its name.",
        ),
        (
            "resort=Nowhere&season=2025&day=12",
            "Resort must be an ID from 1 to 65535 or an exact name, not \"Nowhere\".",
        ),
        (
            "resort=7&season=25&day=12",
            "Season must be a whole number from 1900 to 2999, not 25.",
        ),
        (
            "resort=7&season=2025&day=367",
            "Day must be a whole number from 1 to 366, not 367.",
        ),
        (
            "skier=no+one",
            "Skier must be a whole number from 1 to 4294967295, not \"no one\".",
        ),
    ] {
        let shown = refused(&console, &format!("/rides?{query}"), &viewer).await;
        assert_eq!(texts(&shown, "h1"), ["Rides"]);
        assert_eq!(texts(&shown, "[role=alert]"), [expected]);
        for pair in query.split('&') {
            let (name, typed) = pair.split_once('=').unwrap();
            assert_eq!(value(&shown, &format!("#{name}")), typed.replace('+', " "));
        }
    }
}

#[tokio::test]
async fn a_day_without_rides_offers_no_repair() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let day = "/rides/resorts/7/seasons/2025/days/12";
    let shown = page(&console, day, &admin).await;
    assert_eq!(
        texts(&shown, ".empty strong"),
        ["No rides are stored for this day."]
    );
    assert_eq!(texts(&shown, "[value=repair], #repair-h"), [""; 0]);
}

#[tokio::test]
async fn a_refused_filter_of_the_audit_stays() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let shown = refused(&console, "/audit?actor=anna&since=yesterday", &viewer).await;
    let alerts = texts(&shown, "[role=alert]");
    assert!(
        alerts[0].starts_with("Since must be a time in UTC"),
        "{alerts:?}"
    );
    assert_eq!(value(&shown, "#actor"), "anna");
    assert_eq!(value(&shown, "#since"), "yesterday");
    assert_eq!(texts(&shown, "tbody tr"), [""; 0]);
}
