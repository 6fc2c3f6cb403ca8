//! The order of system calls: a ride is on the disk before anybody is told that it is accepted.

use std::time::{Duration, Instant};

use crate::up::Up;

const RIDES: usize = 20;

/// A system call as strace saw it: begun at one line of the trace, returned at another.
struct Call<'a> {
    begun: usize,
    returned: usize,
    /// Its name, arguments and outcome.
    text: String,
    thread: &'a str,
}

/// Reads a trace of many threads, in which the calls of others may stand between a call and its return.
fn calls(trace: &str) -> Vec<Call<'_>> {
    let mut open: Vec<Call<'_>> = Vec::new();
    let mut calls = Vec::new();
    for (line_number, line) in trace.lines().enumerate() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some(at) = open.iter().position(|call| call.thread == thread) else {
                continue;
            };
            let mut call = open.swap_remove(at);
            call.returned = line_number;
            call.text += resumed;
            calls.push(call);
            continue;
        }
        let call = Call {
            begun: line_number,
            returned: line_number,
            text: rest.to_owned(),
            thread,
        };
        if rest.ends_with("<unfinished ...>") {
            open.push(call);
        } else {
            calls.push(call);
        }
    }
    calls.sort_by_key(|call| call.begun);
    calls
}

#[tokio::test]
async fn a_201_follows_the_fdatasync_of_its_ride() {
    let traces = tempfile::TempDir::new().unwrap();
    let file = traces.path().join("trace");
    // With -D the process is ours, not strace's.
    let strace = "strace -D -f -y -s 300 -e signal=none -e trace=read,recvfrom,write,writev,sendto,pwrite64,fdatasync -o";
    let mut launcher: Vec<String> = strace.split(' ').map(String::from).collect();
    launcher.push(file.to_str().unwrap().to_owned());
    let mut up = Up::start_by(launcher).await;
    let http = skilift_servers::http();
    for skier in 1..=RIDES {
        let url = format!("{}/skiers/1/seasons/2025/days/1/skiers/{skier}", up.url);
        let ride = serde_json::json!({"time": 1, "liftID": 1});
        let answer = http.post(url).json(&ride).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    up.service.drain().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let trace = loop {
        let trace = std::fs::read_to_string(&file).unwrap();
        if trace.trim_end().ends_with("+++ exited with 0 +++") {
            break trace;
        }
        assert!(Instant::now() < deadline, "strace does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let calls = calls(&trace);
    let next = |after: usize, is: &dyn Fn(&str) -> bool, what: &str| {
        let mut later = calls.iter().filter(|call| call.begun > after);
        let found = later.find(|call| is(&call.text));
        found.unwrap_or_else(|| panic!("no {what} after line {after} of the trace"))
    };
    let mut at = 0;
    for skier in 1..=RIDES {
        let post = format!("POST /skiers/1/seasons/2025/days/1/skiers/{skier} ");
        let asked = next(at, &|call| call.contains(&post), "request");
        let ride = format!(r#"\"skierID\":{skier},"#);
        let is_append = |call: &str| call.contains(".jnl>") && call.contains(&ride);
        let written = next(asked.returned, &is_append, "append to the journal");
        let is_sync = |call: &str| call.starts_with("fdatasync(") && call.contains(".jnl>");
        let synced = next(written.returned, &is_sync, "fdatasync");
        assert!(synced.text.ends_with("= 0"), "{}", synced.text);
        let answered = next(at, &|call| call.contains("HTTP/1.1 201"), "201");
        assert!(
            synced.returned < answered.begun,
            "ride {skier} was answered at line {} and on disk at line {}",
            answered.begun,
            synced.returned
        );
        at = answered.returned;
    }
    eprintln!(
        "strace: {RIDES} of {RIDES} rides were appended and synced before their 201, {} calls seen",
        calls.len()
    );
}
