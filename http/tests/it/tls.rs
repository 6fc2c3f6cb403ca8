//! TLS: whom it lets in, whom it waits for, and which files it refuses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use skilift_http::Tls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::{Signed, sign};
use crate::server::start;

/// Sends one request and reads until the server closes.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask_in_tls(signed: &Signed, server: SocketAddr, head: &str, body: &str) -> String {
    let stream = TcpStream::connect(server).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = signed.client.connect(name, stream).await.unwrap();
    ask(stream, head, body).await
}

fn tls_of(signed: &Signed) -> Option<Tls> {
    Some(Tls::read(&signed.certificate, &signed.key).unwrap())
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_and_knows_no_difference() {
    let signed = sign();
    let (plain, secure) = (start(None).await, start(tls_of(&signed)).await);
    assert!(plain.url.starts_with("http://127.0.0.1:"), "{}", plain.url);
    assert!(secure.url.starts_with("https://"), "{}", secure.url);

    let long = "ride".repeat(100_000);
    let stream = TcpStream::connect(plain.address).await.unwrap();
    let in_plain = ask(stream, "POST /echo", &long).await;
    let in_tls = ask_in_tls(&signed, secure.address, "POST /echo", &long).await;
    assert!(in_tls.starts_with("HTTP/1.1 200 OK") && in_tls.ends_with(&long));
    assert_eq!(in_plain.len(), in_tls.len());
    let who = ask_in_tls(&signed, secure.address, "GET /who", "").await;
    assert!(who.contains("\r\n\r\n127.0.0.1:"), "{who}");
}

#[tokio::test]
async fn who_speaks_no_tls_or_trusts_another_authority_learns_nothing() {
    let (signed, other) = (sign(), sign());
    let server = start(tls_of(&signed)).await;
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain
        .write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // An alert, or a reset.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let refused = other.client.connect(name, stream).await.unwrap_err();
    assert!(
        refused.to_string().contains("invalid peer certificate"),
        "{refused}"
    );
    let who = ask_in_tls(&signed, server.address, "GET /who", "").await;
    assert!(who.starts_with("HTTP/1.1 200"), "{who}");
}

#[tokio::test]
async fn clients_that_do_not_shake_hands_keep_nobody_waiting() {
    let signed = sign();
    let server = start(tls_of(&signed)).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let began = Instant::now();
    ask_in_tls(&signed, server.address, "GET /who", "").await;
    // A handshake may take ten seconds.
    assert!(began.elapsed() < Duration::from_secs(9), "{began:?}");
}

/// The clock is stopped: it leaps to the next timer whenever nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_shake_hands_is_let_go_after_a_while() {
    let server = start(tls_of(&sign())).await;
    let began = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(10) && waited < Duration::from_secs(12),
        "{waited:?}"
    );
}

#[tokio::test]
async fn the_end_waits_for_answers_but_not_for_handshakes() {
    let signed = sign();
    let mut server = start(tls_of(&signed)).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let address = server.address;
    let slow = ask_in_tls(&signed, address, "GET /slow", "");
    let end = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.drain.cancel();
        let began = Instant::now();
        server.running.join_next().await.unwrap().unwrap();
        began.elapsed()
    };
    let (answer, ended_after) = tokio::join!(slow, end);
    assert!(answer.ends_with("done"), "{answer}");
    assert!(ended_after < Duration::from_secs(3), "{ended_after:?}");
}

#[test]
fn files_that_cannot_be_used_are_refused_in_words() {
    let (signed, other) = (sign(), sign());
    let put = |text: &str| {
        let path = signed.folder.path().join("bad.pem");
        std::fs::write(&path, text).unwrap();
        path
    };
    let says = |certificate: &std::path::Path, key: &std::path::Path| {
        Tls::read(certificate, key).unwrap_err().to_string()
    };
    let (certificate, key) = (&*signed.certificate, &*signed.key);
    let nowhere = signed.folder.path().join("nowhere.pem");

    let text = says(&nowhere, key);
    assert!(text.contains("cannot read the certificate") && text.contains("nowhere.pem"));
    assert!(says(certificate, &nowhere).contains("cannot read the private key"));
    assert!(says(certificate, &other.key).contains("does not match the certificate"));
    assert!(says(key, certificate).contains("server.key contains no certificate"));
    assert!(says(certificate, certificate).contains("server.pem contains no private key"));
    assert!(says(&put(""), key).contains("bad.pem contains no certificate"));
    let cut = std::fs::read_to_string(key).unwrap();
    let cut = put(&cut[..cut.len() / 2]);
    assert!(
        says(certificate, &cut).contains("the private key in"),
        "{}",
        says(certificate, &cut)
    );
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(says(&put(garbage), key).contains("cannot be used"));
}
