//! A connection that opens itself again.

use std::time::Duration;

use skilift_load::connection::{CallError, Connection};
use skilift_load::target::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves each connection in turn with its script: what is said to each request that comes in, and then the end.
async fn serve(scripts: Vec<Vec<&'static str>>) -> (Target, JoinSet<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut requests = 0;
        for script in scripts {
            let (mut stream, _) = listener.accept().await.unwrap();
            for says in script {
                read_request(&mut stream).await;
                requests += 1;
                stream.write_all(says.as_bytes()).await.unwrap();
            }
        }
        requests
    });
    (target, serving)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n210";

#[tokio::test]
async fn a_closed_connection_is_opened_again_before_anything_is_sent() {
    let (target, mut serving) = serve(vec![vec![OK, OK], vec![OK]]).await;
    let mut connection = Connection::new(target, Duration::from_secs(60));
    for _ in 0..3 {
        let answer = connection.get("/x").await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"210"[..]));
        // Time for the end of the connection to arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(serving.join_next().await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn every_form_of_http_1_is_read() {
    for (says, body) in [
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n21\r\n1;x=y\r\n0\r\n0\r\n\r\n",
            "210",
        ),
        ("HTTP/1.0 200 OK\r\n\r\n210", "210"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n210", "210"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n210",
            "210",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let (target, _serving) = serve(vec![vec![says]]).await;
        let mut connection = Connection::new(target, Duration::from_secs(60));
        let answer = connection.get("/x").await.unwrap();
        assert_eq!(answer.body, body, "{says}");
    }
}

#[tokio::test]
async fn retry_after_is_read_in_seconds() {
    for (value, expected) in [
        ("7", Some(7)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
    ] {
        let says = format!("HTTP/1.1 503 x\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
        let (target, _serving) = serve(vec![vec![says.leak()]]).await;
        let mut connection = Connection::new(target, Duration::from_secs(60));
        let answer = connection.get("/x").await.unwrap();
        assert_eq!(
            answer.retry_after,
            expected.map(Duration::from_secs),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_from_one_that_never_was() {
    let (target, serving) = serve(vec![vec!["HTTP/1.1 201"]]).await;
    let mut connection = Connection::new(target, Duration::from_secs(60));
    let lost = connection.get("/x").await.unwrap_err();
    assert!(
        matches!(lost, CallError::Lost(_)) && lost.may_have_arrived(),
        "{lost:?}"
    );
    drop(serving);
    // The listener is gone as soon as its task is.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = connection.get("/x").await.unwrap_err();
    assert!(
        matches!(refused, CallError::Connect { .. }) && !refused.may_have_arrived(),
        "{refused:?}"
    );
    assert!(refused.is_retryable());
}
