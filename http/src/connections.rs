//! Accepts connections and serves HTTP/1 on them. hyper is used without `axum::serve`, which sets no time limit: here a stranger can hold a bounded
//! number of connections, none of them idle or half-asked or half-read for long, and none beyond the drain.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lingering::answer;
use crate::tls::Tls;

/// Most connections at once. More wait in the kernel.
const MOST: usize = 4096;
/// How long a connection may be idle, how long a request's head may take, and for how long the client may read nothing of an
/// answer that waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a connection may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests may take after the drain began.
const DRAIN: Duration = Duration::from_secs(20);
/// How much of a request is read ahead, in bytes. A head must fit in it.
const READ_AHEAD: usize = 64 * 1024;
/// How long to wait when no connection can be accepted: most often, because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A socket that listens, and whether it speaks TLS.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
}

impl Listener {
    /// Speaks TLS where that is given, and plain HTTP where not.
    #[must_use]
    pub fn new(tcp: TcpListener, tls: Option<Tls>) -> Self {
        Self { tcp, tls }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Where it listens, as the beginning of its URLs: `https://127.0.0.1:8443`.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
    }
}

/// Serves until `drain`; then finishes the requests that are on their way and closes idle connections. Handlers find the
/// client's address as [`ConnectInfo<SocketAddr>`].
pub async fn serve(listener: Listener, router: Router, drain: CancellationToken) {
    let Listener { tcp, tls } = listener;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(READ_AHEAD);
    let room = Arc::new(Semaphore::new(MOST));
    let graceful = GracefulShutdown::new();
    let running = TaskTracker::new();

    while let Some((stream, from)) = drain.run_until_cancelled(accept(&tcp)).await {
        let Some(Ok(place)) = drain
            .run_until_cancelled(Arc::clone(&room).acquire_owned())
            .await
        else {
            break;
        };
        let connection = Connection {
            http: http.clone(),
            router: router.clone(),
            from,
            watcher: graceful.watcher(),
        };
        let (tls, drain, stream) = (tls.clone(), drain.clone(), patient(stream));
        running.spawn(async move {
            match tls {
                None => connection.serve(stream).await,
                Some(tls) => connection.shake_hands(&tls, stream, &drain).await,
            }
            drop(place);
        });
    }
    drop(tcp);
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

/// One client's connection, from its first byte to its last.
struct Connection {
    http: http1::Builder,
    router: Router,
    from: SocketAddr,
    watcher: Watcher,
}

impl Connection {
    /// Serves it in TLS, unless the client takes too long to agree on it or the process is about to end: nothing was asked
    /// yet that an answer is owed to.
    async fn shake_hands(self, tls: &Tls, stream: Patient, drain: &CancellationToken) {
        let shaking = tokio::time::timeout(HANDSHAKE, tls.accept(stream));
        match drain.run_until_cancelled(shaking).await {
            Some(Ok(Ok(stream))) => self.serve(stream).await,
            Some(Ok(Err(error))) => tracing::debug!("no TLS with {}: {error}", self.from),
            Some(Err(_)) => tracing::debug!("no TLS with {} within {HANDSHAKE:?}", self.from),
            None => {}
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            http,
            router,
            from,
            watcher,
        } = self;
        let service = service_fn(move |mut request| {
            request.extensions_mut().insert(ConnectInfo(from));
            answer(router.clone(), request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        // A connection that breaks is the client's affair: no answer was owed on it that could still be given.
        let _ = watcher.watch(connection).await;
    }
}

/// A connection that breaks when its client reads nothing for as long as it has patience. However slowly a client reads, it is
/// served as long as it does.
type Patient = Pin<Box<TimeoutWriter<TcpStream>>>;

fn patient(stream: TcpStream) -> Patient {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(PATIENCE));
    Box::pin(stream)
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                // Without it answers are slower, nothing worse.
                let _ = stream.set_nodelay(true);
                return (stream, from);
            }
            Err(error) => {
                tracing::debug!("accepting a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
