//! Requests as simple clients send them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::start;

#[tokio::test]
async fn a_client_that_has_ended_its_side_gets_its_response() {
    let server = start(None).await;
    for (request, expected) in [
        ("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n", "done"),
        (
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nride",
            "ride",
        ),
    ] {
        for _ in 0..20 {
            let mut client = TcpStream::connect(server.address).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut response = String::new();
            client.read_to_string(&mut response).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response:?}");
            assert!(response.ends_with(expected), "{response:?}");
        }
    }
}

#[tokio::test]
async fn a_path_may_begin_with_two_slashes() {
    let server = start(None).await;
    for path in ["//who", "///who?a=//b"] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n"),
            "{path}: {response:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_of_what_is_no_request_has_a_body_like_all_others() {
    let server = start(None).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(66_000));
    let large = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, status, says) in [
        ("GARBAGE\r\n\r\n", "400 ", "not a valid HTTP/1.1 request"),
        (
            "GET / HTTP/1.1\r\ncontent-length: abc\r\n\r\n",
            "400 ",
            "not a valid HTTP/1.1 request",
        ),
        (&long, "414 ", "the URL is too long"),
        (&large, "431 ", "too many or too large"),
        (&many, "431 ", "too many or too large"),
    ] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        // It may be refused before all of it is read.
        let _ = client.write_all(request.as_bytes()).await;
        let mut response = Vec::new();
        let _ = client.read_to_end(&mut response).await;
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{response}"
        );
        assert!(
            head.contains("\r\ncontent-type: application/json\r\n"),
            "{response}"
        );
        assert!(
            body.starts_with("{\"message\":\"") && body.ends_with("\"}"),
            "{response}"
        );
        assert!(body.contains(says), "{response}");
    }
}
