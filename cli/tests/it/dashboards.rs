//! What watches Skilift from outside: the alert rules ring for what they are written for, and ask only for metrics that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_of_name(c))
        .filter(|word| word.starts_with("skilift_"))
        .collect()
}

#[test]
fn the_alert_rules_ring_for_what_they_are_written_for() {
    let output = Command::new("promtool")
        .args(["test", "rules", "alerts.test.yaml"])
        .current_dir(root().join("infra/dashboards"))
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}): run infra/install-test-tools")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Each rule is among the tests.
    let (rules, tests) = (
        read("infra/dashboards/alerts.yaml"),
        read("infra/dashboards/alerts.test.yaml"),
    );
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(tests.contains(name), "{name} is not tested");
    }
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_exist() {
    let table = read("core/src/health.rs");
    let known = metrics_in(&table);
    let dashboard = read("infra/dashboards/grafana.json");
    for (file, text) in [
        ("alerts.yaml", &read("infra/dashboards/alerts.yaml")),
        ("grafana.json", &dashboard),
    ] {
        let asked = metrics_in(text);
        let unknown: Vec<&&str> = asked.difference(&known).collect();
        assert!(asked.len() > 8, "{file}: {asked:?}");
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut places = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = (
            panel["gridPos"]["y"].as_u64(),
            panel["gridPos"]["x"].as_u64(),
        );
        assert!(places.insert(place), "two panels in one place: {panel}");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
    }
}
