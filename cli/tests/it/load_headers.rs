//! The ingest key and the headers of `skictl load`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::load_command::command;

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_key_and_the_headers_are_in_each_request_and_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("gate.key");
    std::fs::write(&file, "ski_ingest_s3cret\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let mut answering = JoinSet::new();
    answering.spawn(refuse_all(listener, Arc::clone(&heads)));
    let mut load = command(&[
        "--target",
        &target,
        "--rides=1",
        "--threads=1",
        "--ingest-key-file",
        file.to_str().unwrap(),
        "--header",
        "X-Source: test",
        "--output=json",
    ]);
    let output = tokio::time::timeout(LONG, load.output()).await;
    let output = output.expect("it ends").unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("401") && !said.contains("s3cret"), "{said}");
    let heads = heads.lock().unwrap().clone();
    assert!(!heads.is_empty());
    for head in heads {
        let key = "authorization: bearer ski_ingest_s3cret";
        assert!(
            head.contains(key) && head.contains("x-source: test"),
            "{head}"
        );
    }
    let wrong = command(&["--target", &target, "--rides=1", "--header", "nonsense"]);
    let wrong = { wrong }.output().await.unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

/// Answers every request with 401, and keeps their heads.
async fn refuse_all(listener: TcpListener, heads: Arc<Mutex<Vec<String>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while let Ok(1..) = stream.read_line(&mut head).await {
            if head.ends_with("\r\n\r\n") {
                let answer = b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                heads.lock().unwrap().push(head.to_lowercase());
                let _ = stream.get_mut().write_all(answer).await;
                break;
            }
        }
    }
}
