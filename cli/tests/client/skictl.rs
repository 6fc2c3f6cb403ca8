//! A run of `skictl` with a home of its own.

use std::fmt::Write;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A home in which nothing is configured.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// `skictl` in this home, with nothing of the tests' environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skictl"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TERM", "xterm-256color")
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[], "").await
    }

    pub(crate) async fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        stdin: &str,
    ) -> Run {
        let mut child = self
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // Not everybody reads it.
        let _ = input.write_all(stdin.as_bytes()).await;
        drop(input);
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let output = ended.expect("skictl ends").unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What each of these runs says, as a reader of a terminal would see it.
    pub(crate) async fn session(&self, url: &str, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            let mut arguments: Vec<&str> = line.split(' ').collect();
            arguments.extend(["--server", url]);
            let run = self.run(&arguments).await;
            writeln!(text, "$ skictl {line}").unwrap();
            text.push_str(&run.stdout);
            for said in run.stderr.lines() {
                writeln!(text, "[stderr] {said}").unwrap();
            }
            writeln!(text, "[exit {}]\n", run.code.unwrap()).unwrap();
        }
        text
    }
}
