//! Accepts connections and serves HTTP/1 on them. hyper is used without `axum::serve`, which sets no time limit: here the
//! number of connections is limited; idle connections, incomplete requests and unread responses time out, and no connection
//! outlasts the drain.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Uri;
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
use crate::refusals::WithRefusals;
use crate::tls::Tls;

/// Maximum connections. More wait in the kernel.
const MOST: usize = 4096;
/// How long an idle connection stays open, and how long the head of a request may take: longer than a load balancer keeps one (AWS: 60 s),
/// which would otherwise send a request to a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(75);
const _: () = assert!(
    IDLE.as_secs() > 60,
    "a load balancer would reuse closed connections"
);
/// Timeout of a client that reads nothing of its response.
const PATIENCE: Duration = Duration::from_secs(60);
/// Timeout of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests may take after the start of the drain.
const DRAIN: Duration = Duration::from_secs(20);
/// Read buffer of a request, in bytes. The head must fit into it.
const READ_AHEAD: usize = 64 * 1024;
/// How long to wait when no connection can be accepted: most often, because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listening socket, with or without TLS.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
}

impl Listener {
    /// Uses TLS if given, else plain HTTP.
    #[must_use]
    pub fn new(tcp: TcpListener, tls: Option<Tls>) -> Self {
        Self { tcp, tls }
    }

    /// The listening address.
    ///
    /// # Errors
    /// If the system cannot report it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The base URL of its address: `https://127.0.0.1:8443`.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
    }
}

/// Serves until `drain`; then finishes requests in progress and closes idle connections. Handlers get the client's address
/// as [`ConnectInfo<SocketAddr>`].
pub async fn serve(listener: Listener, router: Router, drain: CancellationToken) {
    let Listener { tcp, tls } = listener;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        // A client may end its side after its request, and wait for the response.
        .half_close(true)
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
        tracing::warn!("some of {open} connections did not finish within {DRAIN:?} and are closed");
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
    /// Serves it with TLS, unless the handshake times out or the process is about to end: there is no request yet that needs
    /// a response.
    async fn shake_hands(self, tls: &Tls, stream: Patient, drain: &CancellationToken) {
        let shaking = tokio::time::timeout(HANDSHAKE, tls.accept(stream));
        match drain.run_until_cancelled(shaking).await {
            Some(Ok(Ok(stream))) => self.serve(stream).await,
            Some(Ok(Err(error))) => {
                tracing::debug!("TLS handshake with {} failed: {error}", self.from)
            }
            Some(Err(_)) => tracing::debug!(
                "TLS handshake with {} timed out after {HANDSHAKE:?}",
                self.from
            ),
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
            if let Some(uri) = with_one_slash(request.uri()) {
                *request.uri_mut() = uri;
            }
            answer(router.clone(), request)
        });
        let stream = TokioIo::new(WithRefusals::new(stream));
        let connection = http.serve_connection(stream, service);
        // A broken connection is not an error of the server: no response can be sent on it any more.
        let _ = watcher.watch(connection).await;
    }
}

/// A path that begins with several slashes, with one: a client whose base URL ends in a slash asks for `//resorts`.
fn with_one_slash(uri: &Uri) -> Option<Uri> {
    let target = uri.path_and_query()?.as_str();
    let path = target.strip_prefix("//")?.trim_start_matches('/');
    format!("/{path}").parse().ok()
}

/// A connection that is closed if its client reads nothing during the timeout. A slow client that keeps reading is still
/// served.
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
                // Without it responses are only slower.
                let _ = stream.set_nodelay(true);
                return (stream, from);
            }
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
