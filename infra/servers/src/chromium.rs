//! A private Chromium without a window, driven through web driver commands: <https://www.w3.org/TR/webdriver2/>.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::port::{free_port, is_free};
use crate::process::Process;
use crate::program;

const START_LIMIT: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 5;

/// A chromedriver of our own on 127.0.0.1. The browsers that it starts keep their files in its folder.
///
/// Dropping it kills it and its browsers.
pub struct ChromeDriver {
    // Fields are dropped in this order: first the process, then its folder.
    process: Process,
    port: u16,
    browser: PathBuf,
    _folder: TempDir,
}

impl ChromeDriver {
    /// Starts a driver and waits until it accepts connections.
    ///
    /// # Errors
    /// When chromedriver or Chromium is not installed, or it does not start; the message then holds the last lines of its log.
    pub async fn start() -> anyhow::Result<Self> {
        let (driver, browser) = program::chromedriver()?;
        let mut attempt = 1;
        loop {
            let folder = tempfile::Builder::new().prefix("skilift-chrome-").tempdir();
            let folder = folder.context("cannot create a folder for Chromium")?;
            let port = free_port()?;
            let logs = vec![folder.path().join("chromedriver.log")];
            let process = Process::start("chromedriver", &driver, logs, |command| {
                command
                    .arg(format!("--port={port}"))
                    .env("HOME", folder.path())
                    .env("TMPDIR", folder.path())
                    .current_dir(folder.path());
            });
            let server = Self {
                process: process.await?,
                port,
                browser: browser.clone(),
                _folder: folder,
            };
            match server.until_it_listens().await {
                Ok(()) => return Ok(server),
                Err(_) if attempt < ATTEMPTS && server.lost_its_port() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `http://127.0.0.1:PORT`, for a web driver client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Path of the browser.
    #[must_use]
    pub fn browser(&self) -> &str {
        self.browser.to_str().unwrap_or("chromium")
    }

    fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    async fn until_it_listens(&self) -> anyhow::Result<()> {
        let listening = async {
            while TcpStream::connect(self.addr()).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        self.process.until_ready(START_LIMIT, listening).await
    }

    fn lost_its_port(&self) -> bool {
        !self.process.is_running() && !is_free(self.port)
    }
}
