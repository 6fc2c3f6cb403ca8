//! The load process: `skictl load`, on this host or on another one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use super::spec;
use crate::view::tuning::SweepLoad;

/// How long the process may take to end: requests in flight are waited for.
const END: Duration = Duration::from_secs(20);
/// Most of its output that is kept.
const KEPT_BYTES: usize = 256 * 1024;

/// How a load is started.
#[derive(Debug, Clone)]
pub struct LoadCommand {
    /// The program that has the command `load`.
    pub program: PathBuf,
    /// Host on which it runs, by `ssh`; none for this one.
    pub host: Option<String>,
    /// URL of the API, if a sweep names none.
    pub target: Option<String>,
}

/// A running load. Dropping it ends the process.
pub(super) struct LoadProcess {
    child: Child,
    /// It ends when this closes, also when the console is killed.
    stdin: Option<ChildStdin>,
    stdout: JoinSet<String>,
    stderr: JoinSet<String>,
}

/// What the load says at its end. `docs/load.md` has all of it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LoadSummary {
    pub(super) requests: Requests,
    pub(super) latency: Option<Latency>,
    pub(super) send_lateness: Option<Latency>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Requests {
    pub(super) failed: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Latency {
    pub(super) p99_ms: f64,
}

impl LoadCommand {
    /// The command line of a load.
    pub(super) fn of(&self, load: &SweepLoad, seed: u64, length: Duration) -> Vec<OsString> {
        let mut words: Vec<String> = ["load", "--stop-at-eof", "--output", "json"]
            .map(str::to_owned)
            .into();
        words.extend(["--duration".to_owned(), format!("{}s", length.as_secs())]);
        words.extend(["--seed".to_owned(), seed.to_string()]);
        words.extend(spec::load_options(load, self.target.as_deref()));
        let program = self.program.as_os_str().to_owned();
        match &self.host {
            None => [program]
                .into_iter()
                .chain(words.into_iter().map(OsString::from))
                .collect(),
            Some(host) => {
                // The other host's shell splits the command again. Its standard input may be a socket, but must be a pipe.
                let quoted = words
                    .iter()
                    .map(|word| quoted(word))
                    .collect::<Vec<_>>()
                    .join(" ");
                let remote = format!("cat | skictl {quoted}");
                ["ssh", "-o", "BatchMode=yes", "--", host, &remote]
                    .map(OsString::from)
                    .into()
            }
        }
    }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl LoadProcess {
    /// Starts it, in a process group of its own: signals of a terminal reach it only through the console.
    pub(super) fn start(command: &[OsString]) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.to_string_lossy()))?;
        let stdin = child.stdin.take();
        let (mut stdout, mut stderr) = (JoinSet::new(), JoinSet::new());
        stdout.spawn(read(child.stdout.take()));
        stderr.spawn(read(child.stderr.take()));
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
        })
    }

    /// Waits until it ends by itself, which it does only after a fault, and says why.
    pub(super) async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        let said = said(&mut self.stderr).await;
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let why = last
            .map(|line| format!(": {}", line.trim()))
            .unwrap_or_default();
        match status {
            Ok(status) => format!("the load process ended ({status}){why}"),
            Err(error) => format!("the load process is lost: {error}"),
        }
    }

    /// Ends it, and returns what it says.
    pub(super) async fn end(mut self) -> Result<LoadSummary, String> {
        drop(self.stdin.take());
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
            let _ = self.child.start_kill();
            return Err(format!(
                "the load process did not end within {} s",
                END.as_secs()
            ));
        }
        let said = said(&mut self.stdout).await;
        serde_json::from_str(&said)
            .map_err(|error| format!("the load process said no summary: {error}"))
    }
}

/// All that was read.
async fn said(reading: &mut JoinSet<String>) -> String {
    let read = reading.join_next().await;
    read.and_then(Result::ok).unwrap_or_default()
}

/// The output of a process, shortened.
async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut said = Vec::new();
    if let Some(mut from) = from {
        let mut buffer = [0; 4096];
        // A read error ends the output like its end.
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..read]);
            if said.len() > KEPT_BYTES {
                said.drain(..said.len() - KEPT_BYTES);
            }
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(host: Option<&str>) -> LoadCommand {
        LoadCommand {
            program: "/opt/skictl".into(),
            host: host.map(str::to_owned),
            target: Some("http://10.0.0.1:8080".to_owned()),
        }
    }

    #[test]
    fn a_load_is_a_command_line_here_or_there() {
        let load = SweepLoad {
            rate: Some(300.5),
            skiers: Some("1-9".to_owned()),
            ..SweepLoad::default()
        };
        let words = command(None).of(&load, 7, Duration::from_secs(40));
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            words.join(" "),
            "/opt/skictl load --stop-at-eof --output json --duration 40s --seed 7 --target http://10.0.0.1:8080 --rate 300.5 --skiers 1-9"
        );
        let hostile = SweepLoad {
            target: Some("http://a/';reboot;'".to_owned()),
            ..load
        };
        let words = command(Some("load-1")).of(&hostile, 7, Duration::from_secs(40));
        assert_eq!(words[..5], ["ssh", "-o", "BatchMode=yes", "--", "load-1"]);
        let remote = words[5].to_str().unwrap();
        assert!(
            remote.starts_with("cat | skictl 'load' '--stop-at-eof'"),
            "{remote}"
        );
        assert!(remote.contains(r"'http://a/'\'';reboot;'\'''"), "{remote}");
    }

    #[tokio::test]
    async fn a_process_that_ends_says_why_and_one_that_works_says_what() {
        let shell = |script: &str| ["sh", "-c", script].map(OsString::from);
        let mut broken = LoadProcess::start(&shell("echo ' no route ' >&2; exit 3")).unwrap();
        let why = broken.ended().await;
        assert_eq!(why, "the load process ended (exit status: 3): no route");
        let summary =
            r#"{"requests":{"failed":2,"sent":9},"latency":{"p99_ms":1.5},"send_lateness":null}"#;
        let working = LoadProcess::start(&shell(&format!("cat; echo '{summary}'"))).unwrap();
        let said = working.end().await.unwrap();
        assert_eq!(said.requests.failed, 2);
        assert!((said.latency.unwrap().p99_ms - 1.5).abs() < 1e-9);
        let silent = LoadProcess::start(&shell("cat")).unwrap();
        assert!(silent.end().await.unwrap_err().contains("no summary"));
        assert!(LoadProcess::start(&["/does/not/exist".into()]).is_err());
    }
}
