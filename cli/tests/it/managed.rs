//! Redis as a service that promises durability: a cluster of one shard, without the command `CONFIG`.

use skilift_servers::{RabbitOptions, RabbitServer, RedisOptions, RedisServer};

use crate::operator::Operator;
use crate::system::{System, counting_at_once};

/// A Redis as a cluster of one shard.
async fn managed_redis() -> RedisServer {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = RedisOptions {
        config: vec![
            setting("cluster-enabled", "yes"),
            setting("rename-command", "CONFIG \"\""),
        ],
        ..RedisOptions::default()
    };
    let server = RedisServer::start(options).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CLUSTER")
        .arg("ADDSLOTSRANGE")
        .arg(0)
        .arg(16_383)
        .exec_async(&mut connection)
        .await
        .unwrap();
    server
}

#[tokio::test]
async fn a_cluster_of_one_shard_stores_answers_and_archives() {
    let (rabbit, redis) = tokio::join!(
        RabbitServer::start(counting_at_once(RabbitOptions::default())),
        managed_redis()
    );
    let settings = [("SKI_STORE_DURABILITY", "managed")];
    let system = System::start_with(rabbit.unwrap(), redis, None, &settings).await;
    let operator = Operator::beside(&system).await;
    let load = system.load();
    load.accept(1_000).await;
    let sent = load.stop().await;
    system.prove("a cluster of one shard", &sent).await;
    operator.closes_the_books().await;
    let season = [
        "--resort", "1", "--season", "2025", "--days", "1-366", "--yes",
    ];
    for command in ["run", "restore"] {
        operator
            .does(&[&["archive", command][..], &season].concat())
            .await;
    }
    system.prove("archived and restored", &sent).await;
}
