//! A local fleet whose children are small scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use skilift_core::lifecycle::{Lifecycle, Signals};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// Longer than anything here takes, on a busy machine.
const LONG: Duration = Duration::from_secs(30);
/// Says that all is up, as a node does.
const UP: &str =
    r#"echo $$ >> "$HOME/$ID.pids"; echo '{"private":"127.0.0.1:1","public":"127.0.0.1:4321"}';"#;
/// Works until it is asked to end.
const WORK: &str = "trap 'exit 0' TERM; while :; do sleep 0.02; done";

struct Test {
    fleet: Arc<LocalFleet>,
    lifecycle: Lifecycle,
    folder: TempDir,
}

fn config(folder: &Path, script: &str) -> LocalConfig {
    let (script, home) = (script.to_owned(), folder.to_owned());
    LocalConfig {
        host: "here".to_owned(),
        file: folder.join("below/nodes.json"),
        most: 2,
        first: vec![local_id("worker", 1)],
        inner: vec![Inner {
            id: local_id("api", 0),
            role: "api".to_owned(),
            address: Some(([127, 0, 0, 1], 8080).into()),
            started_at_ms: 7,
        }],
        drain_deadline: LONG,
        patience: Patience {
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(50),
            tries: 3,
            ..Patience::default()
        },
        launch: Box::new(move |place| Launch {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.clone().into()],
            environment: vec![
                ("ID".into(), place.id.as_str().into()),
                ("HOME".into(), home.clone().into()),
            ],
            ..Launch::default()
        }),
        lines: Arc::new(|_, _| {}),
    }
}

impl Test {
    fn of(script: &str) -> Self {
        Self::with(script, |_| {})
    }

    fn with(script: &str, change: impl FnOnce(&mut LocalConfig)) -> Self {
        let folder = TempDir::new().unwrap();
        Self::on(folder, script, change)
    }

    fn on(folder: TempDir, script: &str, change: impl FnOnce(&mut LocalConfig)) -> Self {
        let mut config = config(folder.path(), script);
        change(&mut config);
        let lifecycle = Lifecycle::new();
        let fleet = Arc::new(LocalFleet::new(config, &lifecycle).unwrap());
        Self {
            fleet,
            lifecycle,
            folder,
        }
    }

    async fn start(&self, number: u16) -> Outcome {
        let ids = [local_id("worker", number)];
        let started = timeout(LONG, self.fleet.start(&ids, &|_, _| {})).await;
        started.unwrap().remove(0)
    }

    async fn stop(&self, number: u16) -> Outcome {
        let ids = [local_id("worker", number)];
        let stopped = timeout(LONG, self.fleet.stop(&ids, &|_, _| {})).await;
        stopped.unwrap().remove(0)
    }

    async fn worker(&self, number: u16) -> Instance {
        let all = self.fleet.list().await.unwrap();
        let id = local_id("worker", number);
        all.into_iter().find(|instance| instance.id == id).unwrap()
    }

    /// Waits until worker 1 is in the expected state.
    async fn seen(&self, is_so: impl Fn(&Instance) -> bool) -> Instance {
        let looking = async {
            loop {
                let worker = self.worker(1).await;
                if is_so(&worker) {
                    return worker;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(LONG, looking).await.unwrap()
    }

    /// The processes that have been the child of worker 1, in order.
    fn pids(&self) -> Vec<i32> {
        pids_of(&self.folder.path().join("local-worker-1.pids"))
    }

    /// Ends all as an orderly end of the process does.
    async fn drained(self) -> (bool, TempDir) {
        self.lifecycle.drain();
        let signals = Signals::install().unwrap();
        let code = self.lifecycle.run_until_drained(signals, LONG).await;
        let is_good = format!("{code:?}") == format!("{:?}", std::process::ExitCode::SUCCESS);
        (is_good, self.folder)
    }
}

fn pids_of(file: &PathBuf) -> Vec<i32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn is_alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

#[tokio::test]
async fn a_child_is_started_and_stopped_and_its_place_stays() {
    let test = Test::of(&format!("{UP} {WORK}"));
    let before = test.worker(1).await;
    assert_eq!(
        (before.state, before.reason, before.zone.as_str()),
        (InstanceState::Stopped, None, "here")
    );
    let started = test.start(1).await;
    assert_eq!(started.code, OutcomeCode::Done, "{}", started.message);
    assert_eq!(test.start(1).await.code, OutcomeCode::Already);
    let running = test.worker(1).await;
    assert_eq!(running.state, InstanceState::Running);
    assert_eq!(running.address.as_deref(), Some("127.0.0.1:4321"));
    assert!(running.started_at_ms.is_some());
    assert_eq!(test.fleet.running("worker"), (1, 1));
    let pid = test.pids()[0];
    let stopped = test.stop(1).await;
    assert_eq!(stopped.code, OutcomeCode::Done);
    assert_eq!(stopped.message, "it drained and exited with code 0");
    assert!(!is_alive(pid));
    assert_eq!(test.stop(1).await.code, OutcomeCode::Already);
    let after = test.worker(1).await;
    assert_eq!(after.state, InstanceState::Stopped);
    assert_eq!(
        after.reason.unwrap().to_string(),
        "stopped on request: exited with code 0"
    );
    assert_eq!(test.fleet.running("worker"), (0, 0));
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn each_id_has_its_outcome_and_its_progress_is_heard() {
    let test = Test::of(&format!("{UP} {WORK}"));
    let ids = [
        "local-worker-2",
        "local-worker-3",
        "i-0123",
        "local-api-0",
        "local-worker-2",
        "local-broker-1",
    ];
    let ids = ids.map(InstanceId::new);
    let heard = Mutex::new(Vec::new());
    let hear = |id: &InstanceId, text: String| heard.lock().unwrap().push(format!("{id} {text}"));
    let outcomes = test.fleet.start(&ids, &hear).await;
    let codes: Vec<OutcomeCode> = outcomes.iter().map(|outcome| outcome.code).collect();
    assert!(outcomes.iter().map(|outcome| &outcome.id).eq(&ids));
    assert_eq!(
        codes,
        [
            OutcomeCode::Done,
            OutcomeCode::NotFound,
            OutcomeCode::BadId,
            OutcomeCode::Obstacle,
            OutcomeCode::Done,
            OutcomeCode::BadId,
        ]
    );
    let heard = heard.into_inner().unwrap();
    assert!(
        heard
            .iter()
            .any(|line| line.starts_with("local-worker-2 pending, process ")),
        "{heard:?}"
    );
    let list = test.fleet.list().await.unwrap();
    let ids: Vec<&str> = list.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "local-api-0",
            "local-api-1",
            "local-api-2",
            "local-worker-1",
            "local-worker-2"
        ]
    );
    assert_eq!(list[0].obstacle, Some(Obstacle::ThisProcess));
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn a_child_that_ends_before_it_is_up_falls_back_and_says_why() {
    let test = Test::of("echo 'Redis would forget' >&2; exit 3");
    let started = test.start(1).await;
    assert_eq!(started.code, OutcomeCode::FellBack);
    assert_eq!(
        started.message,
        "it did not come up: exited with code 3: Redis would forget"
    );
    let worker = test.worker(1).await;
    assert_eq!(worker.state, InstanceState::Stopped);
    assert_eq!(
        worker.reason.unwrap().message,
        "exited with code 3 before it was up"
    );
    assert_eq!(test.fleet.running("worker"), (0, 0));
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn a_program_that_is_not_there_falls_back() {
    let test = Test::with("", |config| {
        config.launch = Box::new(|_| Launch {
            program: "/nonexistent/skictl".into(),
            ..Launch::default()
        });
    });
    let started = test.start(1).await;
    assert_eq!(started.code, OutcomeCode::FellBack);
    assert!(
        started.message.contains("cannot start the process"),
        "{started:?}"
    );
}

#[tokio::test]
async fn a_child_that_dies_is_seen_at_once_and_comes_back() {
    let test = Test::with(&format!("{UP} {WORK}"), |config| {
        config.patience.first_pause = Duration::from_millis(300);
    });
    test.start(1).await;
    let pid = test.pids()[0];
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let dead = test.seen(|worker| worker.state == InstanceState::Stopped);
    let reason = dead.await.reason.unwrap();
    assert_eq!(reason.code, "killed");
    assert!(
        reason
            .message
            .starts_with("killed by signal 9; restarting in "),
        "{reason}"
    );
    test.seen(|worker| worker.state == InstanceState::Running)
        .await;
    let pids = test.pids();
    assert!(pids.len() == 2 && pids[1] != pid && is_alive(pids[1]));
    assert!(test.drained().await.0);
    assert!(!is_alive(pids[1]));
}

#[tokio::test]
async fn a_child_that_waits_to_be_started_again_can_be_started_and_stopped() {
    let test = Test::with(&format!("{UP} {WORK}"), |config| {
        config.patience.first_pause = LONG * 100;
        config.patience.longest_pause = LONG * 100;
    });
    test.start(1).await;
    kill(Pid::from_raw(test.pids()[0]), Signal::SIGKILL).unwrap();
    test.seen(|worker| worker.state == InstanceState::Stopped)
        .await;
    assert_eq!(test.fleet.running("worker"), (0, 1));
    assert_eq!(test.start(1).await.code, OutcomeCode::Done);
    kill(Pid::from_raw(test.pids()[1]), Signal::SIGKILL).unwrap();
    test.seen(|worker| worker.state == InstanceState::Stopped)
        .await;
    assert_eq!(test.stop(1).await.code, OutcomeCode::Already);
    assert_eq!(test.fleet.running("worker"), (0, 0));
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn a_child_that_dies_again_and_again_is_given_up_until_somebody_starts_it() {
    let test = Test::of(&format!(
        "{UP} [ -e \"$HOME/fixed\" ] || {{ sleep 0.1; echo broken >&2; exit 4; }}; {WORK}"
    ));
    assert_eq!(test.start(1).await.code, OutcomeCode::Done);
    let given_up = |worker: &Instance| {
        let reason = worker.reason.as_ref();
        reason.is_some_and(|reason| reason.code == "given up")
    };
    let reason = test.seen(given_up).await.reason.unwrap();
    assert_eq!(
        reason.to_string(),
        "given up: 4 exits in quick succession, the last: exited with code 4: broken"
    );
    assert_eq!(test.pids().len(), 4);
    fs::write(test.folder.path().join("fixed"), "").unwrap();
    assert_eq!(test.start(1).await.code, OutcomeCode::Done);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(test.worker(1).await.state, InstanceState::Running);
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn a_child_that_does_not_end_in_time_is_killed() {
    let test = Test::with(
        &format!("trap '' TERM; {UP} while :; do sleep 0.02; done"),
        |config| {
            config.drain_deadline = Duration::from_millis(100);
            config.patience.margin = Duration::from_millis(100);
        },
    );
    test.start(1).await;
    let stopping = test.stop(1);
    let starting = async {
        test.seen(|worker| worker.state == InstanceState::Stopping)
            .await;
        test.start(1).await
    };
    let (stopped, started) = tokio::join!(stopping, starting);
    assert_eq!(stopped.code, OutcomeCode::Done);
    assert!(
        stopped
            .message
            .starts_with("it did not exit in time and was killed by signal 9"),
        "{stopped:?}"
    );
    // Who asked meanwhile for a start got one afterwards.
    assert_eq!(started.code, OutcomeCode::Done);
    assert_eq!(test.pids().len(), 2);
    // The process drains, and is forced.
    test.lifecycle.drain();
    test.seen(|worker| worker.state == InstanceState::Stopping)
        .await;
    timeout(LONG, test.fleet.end()).await.unwrap();
    assert!(!is_alive(test.pids()[1]));
}

#[tokio::test]
async fn a_start_that_takes_long_is_told_so_and_goes_on() {
    let test = Test::with(&format!("sleep 0.4; {UP} {WORK}"), |config| {
        config.patience.up = Duration::from_millis(100);
    });
    let started = test.start(1).await;
    assert_eq!(started.code, OutcomeCode::TimedOut);
    assert_eq!(test.worker(1).await.state, InstanceState::Pending);
    test.seen(|worker| worker.state == InstanceState::Running)
        .await;
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn a_start_is_overtaken_by_a_stop() {
    let test = Test::of(WORK);
    let stopping = async {
        test.seen(|worker| worker.state == InstanceState::Pending)
            .await;
        // Long enough for its trap.
        tokio::time::sleep(Duration::from_millis(200)).await;
        test.stop(1).await
    };
    let (started, stopped) = tokio::join!(test.start(1), stopping);
    assert_eq!(
        (started.code, stopped.code),
        (OutcomeCode::Refused, OutcomeCode::Done)
    );
}

#[tokio::test]
async fn as_many_run_after_a_restart_and_on_the_same_ports() {
    let script = format!("{UP} {WORK}");
    // At the very first start: those of the configuration.
    let test = Test::of(&script);
    let resumed = test.fleet.resume().await;
    assert_eq!(resumed.len(), 1);
    assert_eq!(
        (resumed[0].id.as_str(), resumed[0].code),
        ("local-worker-1", OutcomeCode::Done)
    );
    test.start(2).await;
    test.stop(1).await;
    let (is_good, folder) = test.drained().await;
    assert!(is_good);
    let ports = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&ports);
    let test = Test::on(folder, &script, |config| {
        let launch = std::mem::replace(&mut config.launch, Box::new(|_| Launch::default()));
        config.launch = Box::new(move |place| {
            asked.lock().unwrap().push(place.public_port);
            launch(place)
        });
    });
    let resumed = test.fleet.resume().await;
    assert_eq!(resumed.len(), 1);
    assert_eq!(resumed[0].id.as_str(), "local-worker-2");
    assert_eq!(*ports.lock().unwrap(), [4321]);
    // A kill changes nothing of what is wanted.
    let (_, folder) = test.drained().await;
    let file = folder.path().join("below/nodes.json");
    fs::write(&file, "{ half").unwrap();
    let refused = LocalFleet::new(config(folder.path(), ""), &Lifecycle::new());
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("nodes.json") && message.contains("delete it"));
}

#[tokio::test]
async fn one_that_was_wanted_and_does_not_come_up_is_tried_again() {
    let test = Test::of(&format!("[ -e \"$HOME/fixed\" ] || exit 5; {UP} {WORK}"));
    let resumed = test.fleet.resume().await;
    assert_eq!(resumed[0].code, OutcomeCode::FellBack);
    assert_eq!(test.fleet.running("worker"), (0, 1));
    fs::write(test.folder.path().join("fixed"), "").unwrap();
    test.seen(|worker| worker.state == InstanceState::Running)
        .await;
    assert!(test.drained().await.0);
}

#[tokio::test]
async fn a_flood_of_lines_neither_blocks_a_child_nor_is_lost_here() {
    let heard = Arc::new(AtomicUsize::new(0));
    let hear = Arc::clone(&heard);
    let script = format!("seq 1 50000 >&2; seq 1 50000; {UP} {WORK}");
    let test = Test::with(&script, |config| {
        config.lines = Arc::new(move |id, _| {
            assert_eq!(id.as_str(), "local-worker-1");
            hear.fetch_add(1, Ordering::Relaxed);
        });
    });
    assert_eq!(test.start(1).await.code, OutcomeCode::Done);
    assert_eq!(test.stop(1).await.code, OutcomeCode::Done);
    assert!(heard.load(Ordering::Relaxed) >= 50_000);
}

#[test]
fn a_child_has_a_process_group_of_its_own_and_outlives_nobody() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = runtime.block_on(async {
        let test = Test::of(&format!("{UP} cat > /dev/null; echo > \"$HOME/has-ended\""));
        test.start(1).await;
        let pid = Pid::from_raw(test.pids()[0]);
        assert_eq!(nix::unistd::getpgid(Some(pid)), Ok(pid));
        test.folder
    });
    let ended = folder.path().join("has-ended");
    assert!(!ended.exists());
    // As after a kill, nobody asks the child to end: its pipe closes.
    drop(runtime);
    let deadline = std::time::Instant::now() + LONG;
    while !ended.exists() {
        assert!(std::time::Instant::now() < deadline, "it lives on");
        std::thread::yield_now();
    }
}
