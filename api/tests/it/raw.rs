//! HTTP by hand, for what a well-mannered client does not do.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::TestApi;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Connection(pub(crate) TcpStream);

impl Connection {
    pub(crate) async fn open(api: &TestApi) -> Self {
        Self(TcpStream::connect(api.addr).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends and reads the answer: its head and its body.
    pub(crate) async fn exchange(&mut self, text: &str) -> (String, String) {
        self.send(text).await;
        let answer = tokio::time::timeout(TIMEOUT, self.receive()).await;
        answer.expect("an answer in time")
    }

    async fn receive(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(self.0.read_u8().await.unwrap()));
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}
