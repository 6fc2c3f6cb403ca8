//! The private RabbitMQ.

use skilift_servers::{RabbitOptions, RabbitServer};
use tokio::net::TcpStream;

use crate::proc;

#[tokio::test]
async fn keeps_its_data_and_its_address_when_it_is_stopped_and_killed() -> anyhow::Result<()> {
    let options = RabbitOptions {
        config: vec!["consumer_timeout = 61000".to_owned()],
        ..RabbitOptions::default()
    };
    let mut server = RabbitServer::start(options).await?;
    let url = server.amqp_url();
    let timeout = ["eval", "application:get_env(rabbit, consumer_timeout)."];
    assert_eq!(server.ctl(&timeout).await?.trim(), "{ok,61000}");
    assert_eq!(server.ctl(&["list_queues"]).await?, "");
    assert!(!server.ctl(&["list_users"]).await?.contains("guest"));
    server.ctl(&["add_vhost", "kept"]).await?;

    // A connection that is open when the server goes must not keep its port from it.
    let _connection = TcpStream::connect(server.addr()).await?;
    server.kill().await?;
    assert!(TcpStream::connect(server.addr()).await.is_err());
    assert!(server.ctl(&["list_queues"]).await.is_err());
    server.start_again().await?;
    assert_eq!(server.amqp_url(), url);
    assert!(server.ctl(&["list_vhosts"]).await?.contains("kept"));

    server.stop().await?;
    server.start_again().await?;
    assert!(server.ctl(&["list_vhosts"]).await?.contains("kept"));
    assert_eq!(server.ctl(&["list_queues"]).await?, "");
    Ok(())
}

#[tokio::test]
async fn two_run_at_once_and_nothing_is_left_when_they_are_dropped() -> anyhow::Result<()> {
    let (one, other) = tokio::try_join!(
        RabbitServer::start(RabbitOptions::default()),
        RabbitServer::start(RabbitOptions::default()),
    )?;
    assert_ne!(one.addr(), other.addr());
    one.ctl(&["add_vhost", "here"]).await?;
    assert!(!other.ctl(&["list_vhosts"]).await?.contains("here"));

    // Its helpers end by themselves, a moment after it.
    let mut started = proc::descendants(one.pid());
    assert!(!started.is_empty(), "the process is not the server itself");
    started.extend(proc::descendants(other.pid()));
    let servers = [one.pid(), other.pid()];
    let folders = [one.folder().to_owned(), other.folder().to_owned()];
    other.pause()?;
    drop((one, other));
    assert!(!servers.iter().any(|pid| proc::runs(*pid)));
    assert!(!folders.iter().any(|folder| folder.exists()));
    proc::until_gone(&started).await;
    Ok(())
}
