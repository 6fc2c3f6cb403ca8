//! What /proc says about processes.

use std::fs;
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Whether a process is there and not only waiting to be collected by its parent.
pub(crate) fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// The processes started by `pid`, and those that they started.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let everything: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("/proc can be read")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            everything
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(pid, _)| pid),
        );
        next += 1;
    }
    found.split_off(1)
}

/// Waits until none of `pids` runs any more.
pub(crate) async fn until_gone(pids: &[u32]) {
    let start = Instant::now();
    while let Some(left) = pids.iter().find(|pid| runs(**pid)) {
        let name = fs::read_to_string(format!("/proc/{left}/comm")).unwrap_or_default();
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{} ({left}) was left over",
            name.trim()
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// The state and the parent of a process.
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
