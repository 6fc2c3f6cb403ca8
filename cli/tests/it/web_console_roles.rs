//! What users of each role see in the web console, and may do there.

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::browser::{Kind, WebConsole};

const PASSWORD: &str = "snow on the north face";

/// Every page of the navigation.
const PAGES: [&str; 9] = [
    "/",
    "/queue",
    "/dead-letters",
    "/rides",
    "/nodes",
    "/settings",
    "/audit",
    "/access",
    "/doctor",
];

/// Adds a user, as an admin does it in the browser.
async fn add_user(console: &WebConsole, name: &str, role: &str) {
    let browser = &console.browser;
    console.goto("/access").await;
    browser.fill("#u-name", name).await;
    let roles = browser.find("#u-role").await;
    roles.select_by_label(role).await.unwrap();
    browser.press("Add user").await;
    browser
        .shows("#verdict", &format!("Add user ({name})"))
        .await;
    browser.fill("#password", PASSWORD).await;
    browser.fill("#again", PASSWORD).await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
}

/// Plans another batch of the workers, and returns the path of the plan.
async fn plan_batch(console: &WebConsole, batch: &str) -> String {
    let browser = &console.browser;
    console.goto("/settings").await;
    browser.fill("#worker-batch", batch).await;
    browser.click("form:has(#worker-batch) button").await;
    browser.shows("#verdict", "Set worker batch").await;
    browser
        .client
        .current_url()
        .await
        .unwrap()
        .path()
        .to_owned()
}

/// Posts a form that the page does not have.
async fn post(console: &WebConsole, action: &str, fields: Value) {
    let script = "
        const form = document.createElement('form');
        form.method = 'post';
        form.action = arguments[0];
        for (const [name, value] of arguments[1]) {
            const field = document.createElement('input');
            [field.name, field.value] = [name, value];
            form.append(field);
        }
        document.body.append(form);
        form.submit();";
    let arguments = vec![json!(action), fields];
    console.browser.run_with(script, arguments).await;
}

async fn count(console: &WebConsole, selector: &str) -> usize {
    let found = console
        .browser
        .client
        .find_all(Locator::Css(selector))
        .await;
    found.unwrap().len()
}

#[tokio::test]
async fn a_viewer_reads_everything_and_changes_nothing() {
    let console = WebConsole::open(Kind::default(), 50).await;
    let browser = &console.browser;
    add_user(&console, "vera", "viewer").await;
    let plan = plan_batch(&console, "600").await;
    console.log_in("vera", PASSWORD).await;
    browser.shows(".account-role", "viewer").await;
    // They change the viewer's own session and theme, or run checks.
    let harmless = ["/logout", "/theme", "/doctor"];
    let forms = "return [...document.querySelectorAll('form[method=post]')].map((form) => form.getAttribute('action'))";
    for page in PAGES.into_iter().chain([plan.as_str()]) {
        console.goto(page).await;
        browser.shows("h1", "").await;
        let shown: Vec<String> = serde_json::from_value(browser.run(forms).await).unwrap();
        assert!(shown.contains(&"/logout".to_owned()), "{page}: {shown:?}");
        assert!(
            shown.iter().all(|action| harmless.contains(&&**action)),
            "{page}: {shown:?}"
        );
    }
    browser
        .shows(
            "#apply",
            "can be applied by the role operator; yours is viewer",
        )
        .await;
    post(&console, &format!("{plan}/apply"), json!([])).await;
    browser.shows("#err-h", "requires the role operator").await;
    browser.shows("main", "Nothing was changed").await;
    console.goto("/").await;
    post(&console, "/plans", json!([["change", "pause"]])).await;
    let refused = "Pause requires the role operator; vera has the role viewer";
    browser.shows("#err-h", refused).await;
    browser.shows("main", "Nothing was changed").await;
    console.goto("/settings").await;
    browser.shows("#sv-worker", "version 1").await;
    console.goto("/").await;
    browser.shows("#verdict", "All is well").await;
    console.goto("/audit").await;
    browser.shows("tbody", "denied").await;
}

#[tokio::test]
async fn an_operator_applies_what_can_be_reverted_and_sees_who_applies_the_rest() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    add_user(&console, "otto", "operator").await;
    console.log_in("otto", PASSWORD).await;
    browser.shows(".account-role", "operator").await;
    plan_batch(&console, "700").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto("/settings").await;
    browser.shows("#sv-worker", "version 2").await;
    browser.click("input[name=ingest][value=keys]").await;
    browser.click("form:has(input[name=ingest]) button").await;
    browser.shows("#verdict", "Severe").await;
    browser
        .shows(
            "#apply",
            "can be applied by the role admin; yours is operator",
        )
        .await;
    assert_eq!(count(&console, "#apply form").await, 0);
    let plan = browser.client.current_url().await.unwrap();
    let confirmed = json!([["confirm", "skilift"]]);
    post(&console, &format!("{}/apply", plan.path()), confirmed).await;
    browser.shows("#err-h", "requires the role admin").await;
    console.goto("/access").await;
    browser
        .shows("main", "Only an admin can change users, tokens and keys.")
        .await;
    assert_eq!(count(&console, "form[action='/plans']").await, 0);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_name_stays() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    add_user(&console, "vera", "viewer").await;
    browser.client.delete_all_cookies().await.unwrap();
    console.goto("/settings").await;
    browser.shows("h1", "Log in").await;
    browser.fill("#name", "vera").await;
    browser.fill("#password", "snow on the south face").await;
    browser.press("Log in").await;
    browser.shows("[role=alert]", "rong name or password").await;
    let name = browser.find("#name").await.prop("value").await.unwrap();
    assert_eq!(name.as_deref(), Some("vera"));
}
