//! What systemd hears of a process: this test is what it would be told by.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::UnixDatagram;

use crate::service::Service;

/// After how long without a sign of life a process counts as dead.
const WATCHDOG: Duration = Duration::from_millis(400);

/// systemd's end of the socket.
struct Systemd {
    socket: UnixDatagram,
    /// What was heard, and when.
    heard: Vec<(Instant, String)>,
}

impl Systemd {
    /// Listens until this is heard.
    async fn hear(&mut self, line: &str) {
        let listening = async {
            loop {
                let mut notice = [0; 4096];
                let length = self.socket.recv(&mut notice).await.unwrap();
                let notice = String::from_utf8(notice[..length].to_vec()).unwrap();
                let lines = notice.lines().map(|line| (Instant::now(), line.to_owned()));
                self.heard.extend(lines);
                if notice.lines().any(|heard| heard.starts_with(line)) {
                    return;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(60), listening).await;
        assert!(heard.is_ok(), "no {line} in {:?}", self.heard);
    }

    /// Where lines that begin so were heard.
    fn places(&self, line: &str) -> Vec<usize> {
        let heard = self.heard.iter().enumerate();
        let places = heard.filter(|(_, (_, heard))| heard.starts_with(line));
        places.map(|(place, _)| place).collect()
    }
}

/// Every role is ready as soon as it serves, whatever is away: it says what, and does not count as a start that failed.
#[tokio::test]
async fn a_process_says_that_it_serves_that_it_lives_and_that_it_ends() {
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for (role, is_ready) in [("api", false), ("worker", false), ("console", true)] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notify");
        let mut systemd = Systemd {
            socket: UnixDatagram::bind(&path).unwrap(),
            heard: Vec::new(),
        };
        let environment = [
            ("SKI_AMQP_URL", &*format!("amqp://a:s3cret@{unused}")),
            ("SKI_REDIS_URL", &*format!("redis://:s3cret@{unused}")),
            ("SKI_API_LISTEN", "127.0.0.1:0"),
            ("SKI_METRICS_LISTEN", "127.0.0.1:0"),
            ("SKI_DRAIN_DEADLINE", "40s"),
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", &*WATCHDOG.as_micros().to_string()),
        ];
        let mut service = Service::start(folder.path(), role, &["serve", role], &environment);
        systemd.hear("READY=1").await;
        for _ in 0..6 {
            systemd.hear("WATCHDOG=1").await;
        }
        service.drain().await;
        systemd.hear("STOPPING=1").await;

        let heard = &systemd.heard;
        assert_eq!(heard[0].1, "READY=1", "{role}: {heard:?}");
        assert!(heard[1].1.starts_with("STATUS="), "{role}: {heard:?}");
        let says_ready = heard.iter().any(|(_, line)| line == "STATUS=ready");
        assert_eq!(says_ready, is_ready, "{role}: {heard:?}");
        if role == "worker" {
            let why = systemd.places("STATUS=unavailable: 2 of 2 threads are blocked: ");
            assert!(!why.is_empty(), "{role}: {heard:?}");
        }
        let signs = systemd.places("WATCHDOG=1");
        for pair in signs.windows(2) {
            let apart = heard[pair[1]].0 - heard[pair[0]].0;
            assert!(apart < WATCHDOG, "{role}: {apart:?} apart");
        }
        let stopping = systemd.places("STOPPING=1");
        assert_eq!(stopping.len(), 1, "{role}: {heard:?}");
        assert!(stopping[0] > signs[5], "{role}: {heard:?}");
        // The deadline of the drain, and the farewell.
        assert_eq!(heard[stopping[0] + 1].1, "EXTEND_TIMEOUT_USEC=43000000");
        assert_eq!(systemd.places("READY=1"), [0], "{role}: {heard:?}");
        assert!(heard.iter().all(|(_, line)| !line.contains("s3cret")));
    }
}
