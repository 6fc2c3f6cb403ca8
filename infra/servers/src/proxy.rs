//! A TCP proxy that breaks connections on purpose.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::port::free_port;

const ATTEMPTS: usize = 5;

/// Forwards every connection to one server, until it is told to [`cut`](Self::cut) or to [`stall`](Self::stall).
///
/// Dropping it ends its tasks and drops its connections. It belongs to the runtime on which it was started.
pub struct CutProxy {
    addr: SocketAddr,
    upstream: SocketAddr,
    /// Whether bytes flow. Read while bytes are handed on, so that none are once [`stall`](Self::stall) has returned.
    flows: watch::Sender<bool>,
    /// None while the connections are cut.
    tasks: Mutex<Option<Tasks>>,
}

struct Tasks {
    tracker: TaskTracker,
    stop: DropGuard,
}

impl CutProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `upstream`, which need not be there yet.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let mut attempt = 1;
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await {
                Ok(listener) => break listener,
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error).context("cannot listen for the proxy"),
            }
        };
        let addr = listener.local_addr()?;
        let flows = watch::Sender::new(true);
        let tasks = accept(listener, upstream, &flows);
        Ok(Self {
            addr,
            upstream,
            flows,
            tasks: Mutex::new(Some(tasks)),
        })
    }

    /// Where it listens; always the same.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets every open connection, on both sides, and has new ones refused, until [`heal`](Self::heal). Bytes on their way are
    /// lost.
    pub async fn cut(&self) {
        if let Some(Tasks { tracker, stop }) = self.tasks.lock().await.take() {
            drop(stop);
            tracker.wait().await;
        }
    }

    /// Keeps connections open and accepts new ones, but forwards nothing in either direction until [`heal`](Self::heal). Does
    /// nothing while connections are cut.
    pub fn stall(&self) {
        self.flows.send_replace(false);
    }

    /// Undoes [`cut`](Self::cut) and [`stall`](Self::stall): new connections are forwarded, stalled ones go on.
    ///
    /// # Errors
    /// When somebody else took the port while connections were refused.
    pub async fn heal(&self) -> anyhow::Result<()> {
        let mut tasks = self.tasks.lock().await;
        self.flows.send_replace(true);
        if tasks.is_none() {
            let listener = TcpListener::bind(self.addr)
                .await
                .with_context(|| format!("cannot listen on {} again", self.addr))?;
            *tasks = Some(accept(listener, self.upstream, &self.flows));
        }
        Ok(())
    }
}

fn accept(listener: TcpListener, upstream: SocketAddr, flows: &watch::Sender<bool>) -> Tasks {
    let tracker = TaskTracker::new();
    let stop = CancellationToken::new();
    let connections = tracker.clone();
    let stopped = stop.clone();
    let flows = flows.subscribe();
    tracker.spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    let (flows, stopped) = (flows.clone(), stopped.clone());
                    connections.spawn(forward(client, upstream, flows, stopped));
                }
                // For example: too many open files. The next try may do better.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }));
    tracker.close();
    Tasks {
        tracker,
        stop: stop.drop_guard(),
    }
}

/// Forwards in both directions until both sides have finished, one breaks, or the proxy is stopped.
async fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    flows: watch::Receiver<bool>,
    stopped: CancellationToken,
) {
    let connected = stopped.run_until_cancelled(TcpStream::connect(upstream));
    let Some(Ok(mut server)) = connected.await else {
        return;
    };
    for side in [&client, &server] {
        let _ = side.set_nodelay(true);
    }
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let finished = stopped.run_until_cancelled(async {
        tokio::try_join!(
            pump(client_read, server_write, flows.clone()),
            pump(server_read, client_write, flows),
        )
    });
    if !matches!(finished.await, Some(Ok(_))) {
        for side in [&client, &server] {
            // Reset it when it is dropped, instead of ending it in order.
            let _ = side.set_zero_linger();
        }
    }
}

async fn pump(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut flows: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        from.readable().await?;
        let length = match from.try_read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if length == 0 {
            until_it_flows(&mut flows).await?;
            return to.shutdown().await;
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            until_it_flows(&mut flows).await?;
            to.writable().await?;
            // Borrowing holds off a change of the value, and a try never waits.
            let flowing = flows.borrow();
            if !*flowing {
                continue;
            }
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

async fn until_it_flows(flows: &mut watch::Receiver<bool>) -> io::Result<()> {
    match flows.wait_for(|flows| *flows).await {
        Ok(_) => Ok(()),
        Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}
