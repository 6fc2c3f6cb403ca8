//! Runs that are stopped, and targets that end, hang or talk nonsense.

use std::time::{Duration, Instant};

use skilift_load::plan::{LoadConfig, Schedule, Until};
use skilift_load::run::{LoadError, run};
use skilift_load::summary::Ended;
use skilift_load::target::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::foreign::{Behaviour, Foreign};
use crate::settings::{outcome, rides, summary, verified};

/// Runs until the time is over, and stops then.
async fn stopped_after(config: LoadConfig, after: Duration) -> skilift_load::summary::Summary {
    let stop = CancellationToken::new();
    let stopping = async {
        tokio::time::sleep(after).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(run(config, |_| {}, stop.clone()), stopping);
    outcome.unwrap().summary
}

#[tokio::test]
async fn a_stopped_run_waits_for_what_is_under_way() {
    let server = Foreign::start(Behaviour {
        post_takes: |_| Duration::from_millis(100),
        ..Behaviour::default()
    })
    .await;
    let summary = stopped_after(
        verified(&server.target, 100_000),
        Duration::from_millis(500),
    )
    .await;
    assert_eq!(
        (summary.ended, summary.verify.is_none()),
        (Ended::Interrupted, true)
    );
    assert!(summary.requests.sent >= 8, "{summary:?}");
    assert_eq!(summary.requests.succeeded, summary.requests.sent);
    assert_eq!(summary.requests.sent + summary.requests.unsent, 100_000);
    assert_eq!(summary.rides.accepted, server.posts());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_connections_that_do_not_open() {
    // A backlog that is full: what is sent to it goes unanswered, as to a host that drops it.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        filling.push(stream.unwrap());
    }
    let config = LoadConfig {
        timeout: Duration::from_secs(30),
        ..rides(&format!("http://{address}").parse().unwrap(), 10)
    };
    let stop = CancellationToken::new();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.cancel();
    };
    let started = Instant::now();
    let (outcome, ()) = tokio::join!(run(config, |_| {}, stop.clone()), stopping);
    assert!(matches!(outcome, Err(LoadError::Stopped)), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn what_does_not_end_is_given_up() {
    let server = Foreign::start(Behaviour {
        post_takes: |_| Duration::from_secs(60),
        ..Behaviour::default()
    })
    .await;
    let mut config = rides(&server.target, 100);
    config.timeout = Duration::from_secs(50);
    let started = Instant::now();
    let summary = stopped_after(config, Duration::from_millis(300)).await;
    assert!(
        (5..8).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        (
            summary.requests.sent,
            summary.requests.failed,
            summary.rides.unknown
        ),
        (4, 4, 4)
    );
    assert_eq!(summary.errors[0].kind, "aborted in flight");
}

#[tokio::test]
async fn a_killed_target_ends_the_run() {
    let mut server = Foreign::start(Behaviour::default()).await;
    let config = LoadConfig {
        give_up_after: Duration::from_millis(1500),
        schedule: Schedule::Rate(200.0, Until::Time(Duration::from_secs(600))),
        ..rides(&server.target, 1)
    };
    let killing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.kill().await;
    };
    let started = Instant::now();
    let (outcome, ()) = tokio::join!(outcome(config), killing);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    let summary = outcome.unwrap().summary;
    assert_eq!(summary.ended, Ended::TargetLost);
    assert!(
        summary.requests.succeeded > 50 && summary.requests.retried > 0,
        "{summary:?}"
    );
    assert!(
        summary.requests.failed > 0 && summary.requests.unsent > 100_000,
        "{summary:?}"
    );
    assert!(
        summary
            .errors
            .iter()
            .any(|error| error.kind == "cannot connect"),
        "{summary:?}"
    );
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let server = Foreign::start(Behaviour {
        post_takes: |_| Duration::from_secs(60),
        ..Behaviour::default()
    })
    .await;
    let mut config = rides(&server.target, 1);
    config.timeout = Duration::from_millis(100);
    let summary = summary(config).await;
    assert_eq!((summary.requests.failed, summary.requests.retried), (1, 5));
    assert_eq!(
        (summary.rides.unknown, summary.errors[0].kind.as_str()),
        (1, "no response in time")
    );
}

/// A server that says the same to everyone, whatever they ask.
async fn parrot(says: &'static str) -> (Target, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut talking = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            talking.spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                    let _ = stream.write_all(says.as_bytes()).await;
                }
            });
        }
    });
    (target, serving)
}

#[tokio::test]
async fn nonsense_is_counted_by_its_kind() {
    for (says, kind, tries) in [
        ("SSH-2.0-OpenSSH_9.9\r\n", "response is not HTTP", 1),
        ("\0\x01\x02\x03", "response is not HTTP", 1),
        ("", "connection lost", 6),
        (
            "HTTP/1.1 201 Created\r\ncontent-length: 50\r\n\r\nshort",
            "connection lost",
            6,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK",
            "status 200",
            1,
        ),
        (
            "HTTP/1.1 201 Created\r\ncontent-length: 5000000\r\n\r\n",
            "response too large",
            1,
        ),
    ] {
        let (target, _serving) = parrot(says).await;
        let summary = summary(rides(&target, 1)).await;
        assert_eq!(
            (summary.requests.failed, summary.requests.succeeded),
            (1, 0),
            "{says:?}"
        );
        let counted = (summary.errors[0].kind.as_str(), summary.errors[0].count);
        assert_eq!(counted, (kind, tries), "{says:?}: {:?}", summary.errors);
        assert_eq!(summary.rides.unknown, 1, "{says:?}");
    }
}

#[tokio::test]
async fn garbage_in_answers_to_questions_is_counted() {
    let (target, _serving) =
        parrot("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\n<html>").await;
    let summary = summary(LoadConfig {
        reads: 1.0,
        schedule: Schedule::Closed(Until::Time(Duration::from_millis(200))),
        ..rides(&target, 1)
    })
    .await;
    assert_eq!(
        (summary.requests.succeeded, summary.errors[0].kind.as_str()),
        (0, "invalid response")
    );
    let named = "an HTML page; is the target the public API?";
    assert_eq!(summary.errors[0].example, named);
}

#[tokio::test]
async fn an_unreachable_target_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let error = outcome(rides(&target, 1)).await.unwrap_err();
    assert!(matches!(error, LoadError::Unreachable(_)));
    let error = skilift_core::lifecycle::chain(&error);
    assert!(
        error.contains("cannot connect to the target") && error.contains("refused"),
        "{error}"
    );
}
