//! A console that is lost, and one that takes over from its export, while rides flow.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::load::Load;
use crate::operator::Operator;
use crate::system::System;

async fn import(file: &str, data: &str) -> (Option<i32>, String) {
    let mut import = Command::new(env!("CARGO_BIN_EXE_skictl"));
    import.args(["import", file, "--data", data]);
    let said = import.stdin(Stdio::null()).output().await.unwrap();
    let messages = String::from_utf8(said.stderr).unwrap();
    (said.status.code(), messages)
}

#[tokio::test]
async fn a_console_takes_over_from_an_export_under_load() {
    let system = System::start().await;
    let mut operator = Operator::beside(&system).await;
    let both = |nodes: &Value| nodes["nodes"].as_array().unwrap().len() == 2;
    operator.waits_for(&["nodes"], both).await;
    operator
        .does(&["tokens", "add", "script", "--role", "operator", "--yes"])
        .await;
    operator
        .does(&["settings", "set", "worker", "--threads", "3", "--yes"])
        .await;
    let load = Load::start(&system.url);
    load.accept(2_000).await;
    let data = operator.data();
    let file = data.join("export.ndjson");
    let (file, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    let said = operator.does(&["export", file]).await;
    assert!(
        said.messages.contains("of stack crash to "),
        "{}",
        said.messages
    );
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // What is there stays.
    let (code, messages) = import(file, data).await;
    assert_eq!(code, Some(1), "{messages}");
    assert!(messages.contains("exists already"), "{messages}");

    operator.console.as_mut().unwrap().kill_9().await;
    std::fs::remove_dir_all(format!("{data}/console-crash")).unwrap();
    load.accept(2_000).await;
    // A part of it is refused.
    let text = std::fs::read_to_string(file).unwrap();
    let part = format!("{data}/part.ndjson");
    std::fs::write(&part, &text[..text.len() * 2 / 3]).unwrap();
    let (code, messages) = import(&part, data).await;
    assert_eq!(code, Some(1), "{messages}");
    assert!(messages.contains("not a complete export"), "{messages}");
    let (code, messages) = import(file, data).await;
    assert_eq!(code, Some(0), "{messages}");
    operator.start_console_again().await;
    load.accept(2_000).await;

    let tokens = operator.sees(&["tokens"]).await;
    let named = |token: &Value| token["name"] == "script";
    assert!(tokens["tokens"].as_array().unwrap().iter().any(named));
    let settings = operator.sees(&["settings"]).await;
    let sections = settings["sections"].as_array().unwrap();
    let worker = sections.iter().find(|of| of["section"] == "worker");
    assert_eq!(worker.unwrap()["values"]["threads"], 3);
    let audit = operator.sees(&["audit", "--action", "export"]).await;
    assert_eq!(audit["entries"][0]["actor"], "local", "{audit:#}");

    // Nothing is lost, by its own books and by a recount; and no false alarm.
    let sent = load.stop().await;
    operator.closes_the_books().await;
    system
        .prove("a console replaced from its export", &sent)
        .await;
}
