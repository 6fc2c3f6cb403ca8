//! What a new user does first: pastes the lines that `skictl up` prints.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::service::{Service, aside};

const UP: [&str; 9] = [
    "up",
    "--data",
    "data",
    "--api-listen",
    "localhost:0",
    "--metrics-listen",
    ":0",
    "--console-listen",
    "127.0.0.1:0",
];

/// Runs a line as a shell does, in the environment of the process that printed it.
async fn paste(line: &str, folder: &Path) -> Output {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(line)
        .envs(aside(folder))
        .kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(30), shell.output());
    ended
        .await
        .unwrap_or_else(|_| panic!("{line} does not end"))
        .unwrap()
}

/// The lines of a banner that are commands.
async fn commands(up: &mut Service) -> Vec<String> {
    up.logged_after("health and metrics on ").await;
    let banner = up.output();
    let lines = banner.lines().filter_map(|line| line.strip_prefix("  "));
    let is_command = |line: &&str| {
        ["curl ", "until ", "/"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    lines.filter(is_command).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_ride_of_the_banner_is_found_at_the_first_try() {
    let folder = TempDir::new().unwrap();
    let mut up = Service::start(folder.path(), "up", &UP, &[]);
    let lines = commands(&mut up).await;
    let [queue, stats, post, get] = &lines[..] else {
        panic!("{lines:?}")
    };
    let posted = paste(post, folder.path()).await;
    let text = String::from_utf8_lossy(&posted.stdout).into_owned();
    assert!(text.starts_with("HTTP/1.1 201"), "{text}");
    let got = paste(get, folder.path()).await;
    assert_eq!(String::from_utf8_lossy(&got.stdout), "210\n", "{got:?}");

    // A watch does not end by itself.
    let (once, _) = queue.split_once(" --watch").unwrap();
    for line in [once, stats] {
        let shown = paste(line, folder.path()).await;
        assert!(shown.status.success(), "{line}: {shown:?}");
    }
    up.drain().await;
}

#[tokio::test]
async fn the_banner_names_a_day_that_has_simulated_rides() {
    let folder = TempDir::new().unwrap();
    let arguments = [&UP[..], &["--simulate", "200"]].concat();
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    let lines = commands(&mut up).await;
    let line = format!("{} --output json", lines[1]);
    for _ in 0..100 {
        let shown = paste(&line, folder.path()).await;
        assert!(shown.status.success(), "{line}: {shown:?}");
        let stats: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        if stats["rides"].as_u64() > Some(0) {
            up.drain().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{line} shows no rides");
}

#[tokio::test]
async fn all_busy_ports_are_named_at_once() {
    let folder = TempDir::new().unwrap();
    let taken = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [api, metrics, console] = taken
        .each_ref()
        .map(|taken| taken.local_addr().unwrap().to_string());
    let arguments = [
        "up",
        "--data",
        "data",
        "--api-listen",
        &api,
        "--metrics-listen",
        &metrics,
        "--console-listen",
        &console,
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
    let ended = command
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{text}");
    for says in [
        format!("{api} (--api-listen)"),
        format!("{metrics} (--metrics-listen)"),
        format!("{console} (--console-listen)"),
    ] {
        assert!(text.contains(&says), "{text}");
    }
    assert!(!folder.path().join("data").exists());
}
