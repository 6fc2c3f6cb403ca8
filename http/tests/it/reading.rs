//! Clients that read slowly, or not at all. The clock is paused: it advances to the next timer whenever all tasks are idle.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::certificates::{Signed, sign};
use crate::server::{LONG, start};

/// A client that has asked for a long answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> impl AsyncRead + Unpin {
    let request = b"GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream
}

/// What reaches a client that reads so much at once, in bytes, and rests so long before each time.
async fn read(mut stream: impl AsyncRead + Unpin, at_once: usize, rest: Duration) -> usize {
    let (mut piece, mut length) = (vec![0; at_once], 0);
    loop {
        sleep(rest).await;
        // Data on its way through the kernel counts as idle. A blocking task keeps the clock from advancing meanwhile.
        let (reading, read) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || read.recv());
        let mut got = 0;
        while got < at_once {
            match stream.read(&mut piece[got..]).await {
                // The end, or a connection that broke.
                Ok(0) | Err(_) => return length + got,
                Ok(more) => got += more,
            }
        }
        length += got;
        drop(reading);
    }
}

async fn connect_in_tls(
    signed: &Signed,
    server: std::net::SocketAddr,
) -> impl AsyncRead + AsyncWrite + Unpin {
    let stream = TcpStream::connect(server).await.unwrap();
    let name = "localhost".try_into().unwrap();
    signed.client.connect(name, stream).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_let_go_after_a_while() {
    let signed = sign();
    let tls = skilift_http::Tls::read(&signed.certificate, &signed.key).unwrap();
    let (plain, secure) = (start(None).await, start(Some(tls)).await);
    let stream = TcpStream::connect(plain.address).await.unwrap();
    let in_plain = ask(stream).await;
    let in_tls = ask(connect_in_tls(&signed, secure.address).await).await;
    sleep(Duration::from_secs(65)).await;
    // Only what lay in the sockets is left.
    assert!(read(in_plain, 1 << 20, Duration::ZERO).await < LONG);
    assert!(read(in_tls, 1 << 20, Duration::ZERO).await < LONG);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything() {
    let signed = sign();
    let tls = skilift_http::Tls::read(&signed.certificate, &signed.key).unwrap();
    let (plain, secure) = (start(None).await, start(Some(tls)).await);
    let began = Instant::now();
    let rest = Duration::from_secs(40);
    let stream = TcpStream::connect(plain.address).await.unwrap();
    let in_plain = read(ask(stream).await, 8 << 20, rest).await;
    let in_tls = ask(connect_in_tls(&signed, secure.address).await).await;
    let in_tls = read(in_tls, 8 << 20, rest).await;
    assert!(in_plain > LONG && in_tls > LONG, "{in_plain} {in_tls}");
    assert!(began.elapsed() > 16 * rest);
}
