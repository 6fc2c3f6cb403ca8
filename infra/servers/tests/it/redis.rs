//! The private Redis.

use std::time::Duration;

use skilift_servers::{RedisOptions, RedisServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::proc;

/// Sends inline commands and returns the raw answers.
pub(crate) async fn ask(url: &str, commands: &str) -> anyhow::Result<String> {
    let (password, addr) = url
        .trim_start_matches("redis://:")
        .trim_end_matches('/')
        .split_once('@')
        .expect("a URL with a password");
    let mut connection = TcpStream::connect(addr).await?;
    let request = format!("AUTH {password}\r\n{commands}\r\nQUIT\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answers = String::new();
    connection.read_to_string(&mut answers).await?;
    Ok(answers)
}

#[tokio::test]
async fn keeps_its_data_and_its_address_when_it_is_killed() -> anyhow::Result<()> {
    let mut server = RedisServer::start(RedisOptions::default()).await?;
    let (url, killed) = (server.url(), server.pid());
    assert_eq!(ask(&url, "SET lift 21").await?, "+OK\r\n+OK\r\n+OK\r\n");

    server.kill().await?;
    assert!(!proc::runs(killed));
    assert!(ask(&url, "GET lift").await.is_err());

    server.start_again().await?;
    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), killed);
    assert_eq!(ask(&url, "GET lift").await?, "+OK\r\n$2\r\n21\r\n+OK\r\n");

    server.stop().await?;
    assert!(server.stop().await.is_err(), "it has ended already");
    server.start_again().await?;
    assert!(server.start_again().await.is_err(), "it runs already");
    Ok(())
}

#[tokio::test]
async fn is_durable_unless_told_otherwise() -> anyhow::Result<()> {
    let settings = "CONFIG GET append*\r\nCONFIG GET maxmemory*";
    let server = RedisServer::start(RedisOptions::default()).await?;
    let answers = ask(&server.url(), settings).await?;
    for expected in ["yes", "always", "noeviction"] {
        assert!(
            answers.contains(&format!("\r\n{expected}\r\n")),
            "{answers}"
        );
    }

    let server = RedisServer::start(RedisOptions {
        appendonly: false,
        maxmemory: Some("64mb".to_owned()),
        config: vec![("maxmemory-policy".to_owned(), "allkeys-lru".to_owned())],
        ..RedisOptions::default()
    })
    .await?;
    let answers = ask(&server.url(), settings).await?;
    for expected in ["no", "67108864", "allkeys-lru"] {
        assert!(
            answers.contains(&format!("\r\n{expected}\r\n")),
            "{answers}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn answers_nothing_while_it_is_paused_and_is_gone_when_dropped() -> anyhow::Result<()> {
    let server = RedisServer::start(RedisOptions::default()).await?;
    let url = server.url();
    server.pause()?;
    let waited = timeout(Duration::from_millis(200), ask(&url, "PING")).await;
    assert!(waited.is_err(), "{waited:?}");
    server.resume()?;
    assert!(ask(&url, "PING").await?.contains("+PONG"));

    server.pause()?;
    let (pid, folder) = (server.pid(), server.folder().to_owned());
    drop(server);
    assert!(!proc::runs(pid));
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn shows_its_log_when_it_does_not_start() {
    let options = RedisOptions {
        config: vec![("no-such-option".to_owned(), "1".to_owned())],
        ..RedisOptions::default()
    };
    let Err(error) = RedisServer::start(options).await else {
        panic!("started with an option that does not exist");
    };
    let message = format!("{error:#}");
    assert!(
        message.contains("redis-server ended while it started"),
        "{message}"
    );
    assert!(message.contains("no-such-option"), "{message}");
}

#[test]
fn outlives_the_thread_and_the_runtime_that_started_it() -> anyhow::Result<()> {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    };
    let server = std::thread::spawn(move || -> anyhow::Result<RedisServer> {
        runtime()?.block_on(RedisServer::start(RedisOptions::default()))
    })
    .join()
    .expect("the thread does not panic")?;
    let answers = runtime()?.block_on(ask(&server.url(), "PING"))?;
    assert!(answers.contains("+PONG"), "{answers}");
    Ok(())
}
