//! The console's whole state, for another console.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use skilift_core::embedded::records::WriteBatch;
use tokio::sync::mpsc;

use super::error::ApiError;
use crate::access::Caller;
use crate::audit;
use crate::console::Console;

/// Bytes per chunk.
const CHUNK: usize = 64 * 1024;
/// Chunks that wait for a slow client.
const WAITING: usize = 4;

/// The console's state
///
/// All records of one moment, as lines of JSON: users, tokens and keys (as digests), settings, plans, sweeps, audit, dead letters,
/// history and what reconciliation needs. `skictl import` makes the directory of another console of it. The last line has the number
/// of records and their hash: without it, the export is not complete.
#[utoipa::path(
    get,
    path = "/admin/v1/export",
    operation_id = "getExport",
    tag = "Operation",
    responses((status = 200, description = "The records", body = String, content_type = "application/x-ndjson")),
)]
pub(crate) async fn export(
    State(console): State<Arc<Console>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let line = audit::by(&caller, "export");
    let state = &console.state;
    let audited = state.commit("audit an export", WriteBatch::default(), vec![line]);
    audited.await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let exporting = Arc::clone(&console);
    console.tasks.spawn_blocking(move || {
        let mut to = BufWriter::with_capacity(CHUNK, Sending(&sender));
        let exported = exporting.export(&mut to);
        let exported = exported.map_err(io::Error::other).and_then(|_| to.flush());
        if let Err(error) = exported {
            tracing::warn!("an export was not completed: {error}");
            // Ends the response without its last line.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let chunks = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Sends what is written as chunks of a response.
struct Sending<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Sending<'_> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(chunk)));
        let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "the client has left");
        sent.map(|()| chunk.len()).map_err(|_| closed())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
