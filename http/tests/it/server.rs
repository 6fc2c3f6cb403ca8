//! A server of the tests.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use skilift_http::{Listener, Tls, serve};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The length of a long answer, in bytes: more than the sockets between server and client hold.
pub(crate) const LONG: usize = 64 * 1024 * 1024;

/// A server that says who asks and gives back what it was sent, after a while or at length
/// where it is asked so.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    pub(crate) drain: CancellationToken,
    pub(crate) running: JoinSet<()>,
}

pub(crate) async fn start(tls: Option<Tls>) -> Server {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = Listener::new(tcp, tls);
    let (address, url) = (listener.address().unwrap(), listener.url().unwrap());
    let router = Router::new()
        .route(
            "/who",
            get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.to_string() }),
        )
        .route("/long", get(|| async { vec![b'x'; LONG] }))
        .route("/echo", post(|body: String| async move { body }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                "done"
            }),
        );
    let drain = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(serve(listener, router, drain.clone()));
    Server {
        address,
        url,
        drain,
        running,
    }
}
