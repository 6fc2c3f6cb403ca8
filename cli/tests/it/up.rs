//! One `skictl up` on a data folder.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skilift_core::embedded::Database;
use skilift_core::queue::embedded::EmbeddedQueue;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_servers::free_port;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::load::{Load, Sent};
use crate::proof;
use crate::service::Service;
use crate::system::wait_until_ready;

/// How often the backlog is looked at. The process itself looks twice as often.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) struct Up {
    pub(crate) service: Service,
    /// Where the API listens, as `http://127.0.0.1:PORT`; it stays the same when the process starts again.
    pub(crate) url: String,
    /// The data folder, as the process names it.
    pub(crate) data: PathBuf,
    /// The data folder, as this process finds it.
    data_from_here: PathBuf,
    launcher: Vec<String>,
    folder: TempDir,
}

impl Up {
    pub(crate) async fn start() -> Self {
        Self::start_by(Vec::new()).await
    }

    /// Starts it by a program that becomes it.
    pub(crate) async fn start_by(launcher: Vec<String>) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        Self::start_in(folder, launcher, data.clone(), data).await
    }

    /// Starts it with its data on a disk of its own.
    pub(crate) async fn start_on(disk: &Disk) -> Self {
        let folder = TempDir::new().unwrap();
        let (inside, outside) = (disk.inside().join("data"), disk.outside().join("data"));
        Self::start_in(folder, disk.launcher(), inside, outside).await
    }

    async fn start_in(
        folder: TempDir,
        launcher: Vec<String>,
        data: PathBuf,
        data_from_here: PathBuf,
    ) -> Self {
        let url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let up = Self {
            service: launch(&folder, &launcher, &url, &data),
            url,
            data,
            data_from_here,
            launcher,
            folder,
        };
        up.wait_until_ready().await;
        up
    }

    /// Starts it again on the same folder and the same port.
    pub(crate) async fn start_again(&mut self) {
        self.start_again_without_waiting();
        self.wait_until_ready().await;
    }

    pub(crate) fn start_again_without_waiting(&mut self) {
        self.service = launch(&self.folder, &self.launcher, &self.url, &self.data);
    }

    async fn wait_until_ready(&self) {
        wait_until_ready(&self.url, &self.service).await;
    }

    /// Sends rides for a while; `happens` while they are under way.
    pub(crate) fn load(&self) -> Load {
        Load::start(&self.url)
    }

    /// Waits until the process logs a line with `text`, or ends by itself: then how.
    pub(crate) async fn ends_or_says(&mut self, text: &str) -> Option<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.service.ended() {
                return Some(status);
            }
            if self.service.has_logged(text) {
                return None;
            }
            let log = self.service.log();
            assert!(
                Instant::now() < deadline,
                "it neither ends nor says {text:?}: {log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Rides that are accepted and not stored yet.
    async fn backlog(&self) -> u64 {
        let answer = skilift_servers::http()
            .get(format!("{}/statistics", self.url))
            .send()
            .await;
        let statistics: serde_json::Value = answer.unwrap().json().await.unwrap();
        statistics["backlogRides"].as_u64().unwrap_or(u64::MAX)
    }

    /// Waits until everything is stored, asks for every ride, ends the process, and proves from the folder itself that
    /// nothing is lost and nothing doubled.
    pub(crate) async fn prove(&mut self, crash: &str, sent: &Sent) {
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut empty_looks = 0;
        // What it tells is some moments old: the queue must be seen empty twice.
        while empty_looks < 2 {
            let is_empty = self.backlog().await == 0;
            empty_looks = if is_empty { empty_looks + 1 } else { 0 };
            let log = self.service.log();
            assert!(Instant::now() < deadline, "the queue does not empty: {log}");
            tokio::time::sleep(LOOK).await;
        }
        let listed = proof::ask_ride_lists(&self.url, &sent.sent).await;
        self.service.drain().await;
        let database = Arc::new(Database::open(&self.data_from_here).unwrap());
        let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
        assert_eq!(queue.waiting_rides(), 0, "{crash}");
        let reader = EmbeddedReader::new(database);
        let figures = proof::compare(sent, listed, &reader, queue.dead_letters()).await;
        proof::judge(crash, sent, &figures);
    }
}

fn launch(folder: &TempDir, launcher: &[String], url: &str, data: &Path) -> Service {
    let address = url.strip_prefix("http://").unwrap();
    let arguments = [
        "up",
        "--data",
        data.to_str().unwrap(),
        "--api-listen",
        address,
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    Service::start_by(launcher, folder.path(), "up", &arguments)
}
