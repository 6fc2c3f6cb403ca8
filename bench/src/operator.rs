//! A console beside the bench's API and worker, and `skictl` against it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::setup::{Process, Programs, Setup, servers};

/// What a console says before its address.
const SAYS: &str = "admin API on ";

/// A page that is kept up to date.
pub(crate) struct OpenPage(reqwest::Response);

impl OpenPage {
    /// Waits for the next message, and returns its size in bytes.
    pub(crate) async fn next(&mut self) -> anyhow::Result<usize> {
        let chunk = self.0.chunk().await?;
        Ok(chunk.context("the stream has ended")?.len())
    }
}

pub(crate) struct Operator {
    /// `http://127.0.0.1:PORT`.
    url: String,
    console: Process,
    skictl: PathBuf,
    _folder: TempDir,
    token_file: PathBuf,
    token: String,
    http: reqwest::Client,
}

impl Operator {
    /// Starts a console, with further arguments and environment.
    pub(crate) async fn start(
        setup: &Setup,
        arguments: &[&str],
        environment: &[(&'static str, String)],
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let common = [
            "serve",
            "console",
            "--data",
            "data",
            "--console-listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let arguments = [&common, arguments].concat();
        let environment = [&servers(&setup.rabbit, &setup.redis), environment].concat();
        let skictl = setup.programs.path("skictl")?;
        let console = Process::start(&skictl, &folder, &arguments, &environment, SAYS).await?;
        Self::of_up(&setup.programs, console, folder)
    }

    /// The operator of a process that has its console inside, and `data` in this folder.
    pub(crate) fn of_up(
        programs: &Programs,
        console: Process,
        folder: TempDir,
    ) -> anyhow::Result<Self> {
        let mut files = std::fs::read_dir(folder.path().join("data"))?.flatten();
        // With the stack's name where the console is on servers.
        let token = files.find(|file| file.file_name().to_string_lossy().starts_with("token"));
        let token_file = token.context("the console wrote no token")?.path();
        let token = std::fs::read_to_string(&token_file)?;
        Ok(Self {
            url: console.said_after(SAYS)?,
            console,
            skictl: programs.path("skictl")?,
            _folder: folder,
            token_file,
            token: token.trim().to_owned(),
            http: skilift_servers::http(),
        })
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.console.pid()
    }

    pub(crate) async fn drain(mut self) -> anyhow::Result<()> {
        self.console.drain().await
    }

    /// Runs `skictl` and expects it to do what it was asked for.
    pub(crate) async fn skictl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(&self.skictl)
            .args(arguments)
            .args(["--server", &self.url, "--token-file"])
            .arg(&self.token_file)
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
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let asking = self.http.get(format!("{}/admin/v1/{path}", self.url));
        let answer = asking.bearer_auth(&self.token).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// The cookie of a session in a browser: its name and value.
    pub(crate) fn cookie(&self) -> (&'static str, &str) {
        ("skilift_session", &self.token)
    }

    /// The URL of a page of the web console.
    pub(crate) fn page_url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Gets a page or a file of one as a browser does, and returns its size on the wire, in bytes.
    pub(crate) async fn browse(&self, path: &str) -> anyhow::Result<usize> {
        let asking = self.page(path).header("accept-encoding", "gzip");
        Ok(asking
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?
            .len())
    }

    /// The text of a page.
    pub(crate) async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self
            .page(path)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?)
    }

    /// Opens the stream of a page, on a connection of its own.
    pub(crate) async fn open_page(&self, path: &str) -> anyhow::Result<OpenPage> {
        let asking = self.page(&format!("/live?page={path}"));
        Ok(OpenPage(asking.send().await?.error_for_status()?))
    }

    fn page(&self, path: &str) -> reqwest::RequestBuilder {
        let (name, value) = self.cookie();
        let asking = self.http.get(self.page_url(path));
        asking.header("cookie", format!("{name}={value}"))
    }

    /// Asks for the queue each second, over one connection, for ever.
    pub(crate) fn ask_each_second(&self) -> impl Future<Output = ()> + Send + 'static {
        let (url, token) = (format!("{}/admin/v1/queue", self.url), self.token.clone());
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
