//! An API and a worker on RabbitMQ and Redis of their own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::reader::RedisReader;
use skilift_servers::{CutProxy, RabbitOptions, RabbitServer, RedisOptions, RedisServer};
use tempfile::TempDir;

use crate::load::{Load, Sent};
use crate::proof::{self, Figures};
use crate::service::Service;

pub(crate) struct System {
    pub(crate) rabbit: RabbitServer,
    pub(crate) redis: RedisServer,
    pub(crate) api: Service,
    pub(crate) worker: Service,
    /// Where the API listens, as `http://127.0.0.1:PORT`; it stays the same when the API starts again.
    pub(crate) url: String,
    pub(crate) stack: StackName,
    folder: TempDir,
    /// Where the worker finds Redis, when not directly.
    worker_redis_url: String,
}

impl System {
    pub(crate) async fn start() -> Self {
        Self::start_on(RabbitOptions::default(), RedisOptions::default()).await
    }

    pub(crate) async fn start_on(rabbit: RabbitOptions, redis: RedisOptions) -> Self {
        let (rabbit, redis) = tokio::join!(
            RabbitServer::start(counting_at_once(rabbit)),
            RedisServer::start(redis)
        );
        Self::start_with(rabbit.unwrap(), redis.unwrap(), None, &[]).await
    }

    /// Starts API and worker; the worker reaches Redis at `worker_redis_url` when one is given, and has these settings.
    pub(crate) async fn start_with(
        rabbit: RabbitServer,
        redis: RedisServer,
        worker_redis_url: Option<String>,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let stack: StackName = "crash".parse().unwrap();
        let worker_redis_url = worker_redis_url.unwrap_or_else(|| redis.url());
        let mut api = start_api(&folder, &rabbit, &redis, "127.0.0.1:0");
        let url = api.logged_after("public API on ").await;
        let mut worker = start_worker(&folder, &rabbit, &worker_redis_url, settings);
        worker.logged_after("health and metrics on ").await;
        let system = Self {
            rabbit,
            redis,
            api,
            worker,
            url,
            stack,
            folder,
            worker_redis_url,
        };
        system.wait_until_ready().await;
        system
    }

    /// Starts API and worker; the worker reaches Redis through a proxy that can be cut.
    pub(crate) async fn start_behind_proxy() -> (Self, CutProxy) {
        let (rabbit, redis) = tokio::join!(
            RabbitServer::start(counting_at_once(RabbitOptions::default())),
            RedisServer::start(RedisOptions::default())
        );
        let (rabbit, redis) = (rabbit.unwrap(), redis.unwrap());
        let proxy = CutProxy::start(redis.addr()).await.unwrap();
        let address = redis.addr().to_string();
        let through_proxy = redis.url().replace(&address, &proxy.addr().to_string());
        let system = Self::start_with(rabbit, redis, Some(through_proxy), &[]).await;
        (system, proxy)
    }

    pub(crate) fn start_api_again(&mut self) {
        let address = self.url.strip_prefix("http://").unwrap();
        self.api = start_api(&self.folder, &self.rabbit, &self.redis, address);
    }

    pub(crate) fn start_worker_again(&mut self) {
        self.start_worker_again_with(&[]);
    }

    /// Starts the worker again with other settings.
    pub(crate) fn start_worker_again_with(&mut self, settings: &[(&str, &str)]) {
        self.worker = start_worker(&self.folder, &self.rabbit, &self.worker_redis_url, settings);
    }

    /// Starts a second worker beside the first.
    pub(crate) fn start_another_worker(&self) -> Service {
        start_worker(&self.folder, &self.rabbit, &self.worker_redis_url, &[])
    }

    pub(crate) async fn wait_until_ready(&self) {
        wait_until_ready(&self.url, &self.api).await;
    }

    /// Sends rides for a while; `happens` while they are under way.
    pub(crate) fn load(&self) -> Load {
        Load::start(&self.url)
    }

    pub(crate) fn reader(&self) -> RedisReader {
        reader(&self.redis, &self.stack)
    }

    /// The directory with archived days.
    pub(crate) fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// Waits until everything is stored, then proves that nothing is lost and nothing doubled.
    pub(crate) async fn prove(&self, crash: &str, sent: &Sent) {
        self.wait_until_stored().await;
        proof::judge(crash, sent, &self.compare(sent).await);
    }

    /// Compares what is stored with what was sent, without judging.
    pub(crate) async fn compare(&self, sent: &Sent) -> Figures {
        let listed = proof::ask_ride_lists(&self.url, &sent.sent).await;
        let dead = self.messages_in(&self.stack.dead_letter_queue()).await;
        proof::compare(sent, listed, &self.reader(), dead).await
    }

    /// Messages in a queue, delivered ones counted.
    pub(crate) async fn messages_in(&self, queue: &str) -> u64 {
        messages_in(&self.rabbit, queue).await
    }

    /// Waits until everything in the queue of rides is stored and acknowledged.
    pub(crate) async fn wait_until_stored(&self) {
        wait_until_stored(&self.rabbit, &self.stack, &self.worker).await;
    }
}

/// What is stored of a stack.
pub(crate) fn reader(redis: &RedisServer, stack: &StackName) -> RedisReader {
    let url = ServiceUrl::redis(&redis.url()).unwrap();
    let store = Store::for_reading(url, stack).unwrap();
    store.reader().unwrap()
}

/// Messages in a queue, delivered ones counted.
pub(crate) async fn messages_in(rabbit: &RabbitServer, queue: &str) -> u64 {
    let arguments = [
        "-q",
        "list_queues",
        "--no-table-headers",
        "name",
        "messages",
    ];
    let listed = rabbit.ctl(&arguments).await.unwrap();
    let of_queue = |line: &str| {
        let (name, messages) = line.split_once('\t')?;
        (name == queue).then(|| messages.trim().parse().ok())?
    };
    listed
        .lines()
        .find_map(of_queue)
        .unwrap_or_else(|| panic!("no {queue} in {listed}"))
}

/// Waits until everything in the queue of rides is stored and acknowledged, by whoever writes into the log of `worker`.
pub(crate) async fn wait_until_stored(rabbit: &RabbitServer, stack: &StackName, worker: &Service) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut empty_looks = 0;
    // The count is some ticks old: the queue must be seen empty twice.
    while empty_looks < 2 {
        let messages = messages_in(rabbit, &stack.ride_queue()).await;
        empty_looks = if messages == 0 { empty_looks + 1 } else { 0 };
        assert!(
            Instant::now() < deadline,
            "the queue does not empty: {}",
            worker.log()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until the API at `url` takes rides.
pub(crate) async fn wait_until_ready(url: &str, api: &Service) {
    let ready = async {
        loop {
            let answer = skilift_servers::http()
                .get(format!("{url}/readyz"))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), ready).await;
    assert!(
        waited.is_ok(),
        "the API does not become ready: {}",
        api.log()
    );
}

/// RabbitMQ counts a quorum queue's messages every 5 s; tests want to know sooner.
pub(crate) fn counting_at_once(mut options: RabbitOptions) -> RabbitOptions {
    options
        .erl_args
        .extend(["-rabbit", "quorum_tick_interval", "100"].map(String::from));
    options
}

fn start_api(
    folder: &TempDir,
    rabbit: &RabbitServer,
    redis: &RedisServer,
    address: &str,
) -> Service {
    let arguments = [
        "serve",
        "api",
        "--stack",
        "crash",
        "--api-listen",
        address,
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let archive = folder.path().join("archive");
    let environment = [
        ("SKI_AMQP_URL", &*rabbit.amqp_url()),
        ("SKI_REDIS_URL", &*redis.url()),
        ("SKI_ARCHIVE", archive.to_str().unwrap()),
    ];
    Service::start(folder.path(), "api", &arguments, &environment)
}

fn start_worker(
    folder: &TempDir,
    rabbit: &RabbitServer,
    redis_url: &str,
    settings: &[(&str, &str)],
) -> Service {
    let arguments = [
        "serve",
        "worker",
        "--stack",
        "crash",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let amqp_url = rabbit.amqp_url();
    let servers = [("SKI_AMQP_URL", &*amqp_url), ("SKI_REDIS_URL", redis_url)];
    Service::start(
        folder.path(),
        "worker",
        &arguments,
        &[&servers[..], settings].concat(),
    )
}
