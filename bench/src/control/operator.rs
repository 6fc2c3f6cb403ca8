//! A console beside the bench's API and worker, and `skictl` against it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::setup::{Process, Setup, built, servers};

pub(super) struct Operator {
    console: Process,
    folder: TempDir,
    token: String,
    http: reqwest::Client,
}

impl Operator {
    pub(super) async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let data = folder.path().join("data");
        let data = data.to_str().context("a folder without a name")?;
        let arguments = [
            "serve",
            "console",
            "--data",
            data,
            "--console-listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let environment = servers(&setup.rabbit, &setup.redis);
        let console =
            Process::start(&folder, "skictl", &arguments, &environment, "admin API on ").await?;
        let token = std::fs::read_to_string(format!("{data}/token"))?;
        Ok(Self {
            console,
            folder,
            token: token.trim().to_owned(),
            http: skilift_servers::http(),
        })
    }

    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        self.console.pid()
    }

    pub(super) async fn drain(mut self) -> anyhow::Result<()> {
        self.console.drain().await
    }

    /// Runs `skictl` and expects it to do what it was asked for.
    pub(super) async fn skictl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(built("skictl")?)
            .args(arguments)
            .args(["--server", &self.console.url, "--token-file"])
            .arg(self.folder.path().join("data/token"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        ensure!(
            output.status.success(),
            "skictl {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// What the admin API answers.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let asking = self
            .http
            .get(format!("{}/admin/v1/{path}", self.console.url));
        let answer = asking.bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Asks for the queue each second, over one connection, for ever.
    pub(super) fn ask_each_second(&self) -> impl Future<Output = ()> + Send + 'static {
        let (url, token) = (
            format!("{}/admin/v1/queue", self.console.url),
            self.token.clone(),
        );
        let http = skilift_servers::http();
        async move {
            loop {
                let asking = http.get(&url).bearer_auth(&token).send();
                if let Ok(answer) = asking.await {
                    // Read to its end, so that the connection serves again.
                    let _ = answer.bytes().await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
