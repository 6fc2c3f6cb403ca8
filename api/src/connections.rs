//! The public socket. hyper is used without `axum::serve`, which sets no time limit: here a stranger can hold a bounded
//! number of connections, none of them idle or half-asked for long, and none beyond the drain.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lingering::answer;

/// Most connections at once. More wait in the kernel.
const MOST: usize = 4096;
/// How long a connection may be idle, and how long a request's head may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long requests may take after the drain began.
const DRAIN: Duration = Duration::from_secs(20);
/// How much of a request is read ahead, in bytes. A head must fit in it.
const READ_AHEAD: usize = 64 * 1024;
/// How long to wait when no connection can be accepted: most often, because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `drain`; then finishes the requests that are on their way and closes idle connections.
pub async fn serve(listener: TcpListener, router: Router, drain: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(READ_AHEAD);
    let room = Arc::new(Semaphore::new(MOST));
    let graceful = GracefulShutdown::new();
    let running = TaskTracker::new();

    while let Some(stream) = drain.run_until_cancelled(accept(&listener)).await {
        let Some(Ok(place)) = drain
            .run_until_cancelled(Arc::clone(&room).acquire_owned())
            .await
        else {
            break;
        };
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), request));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        running.spawn(async move {
            // A connection that breaks is the client's affair: no answer was owed on it that could still be given.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let open = graceful.count();
    if tokio::time::timeout(DRAIN, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "some of {open} connections did not finish within {DRAIN:?} and are given up"
        );
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it answers are slower, nothing worse.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::debug!("accepting a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
