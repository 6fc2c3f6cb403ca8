//! `POST /rides`: many rides in one request, one per line, published while the body streams in.
//!
//! - [`chunks`]: the decompressed bytes of the body, limited in size and time. [`lines`]: their lines.
//! - [`upload`]: publishes rides as they are read, and tracks the settled lines. [`answer`]: the response.
//!   [`document`]: the documentation of the body.
//!
//! The body is never buffered as a whole: a request of any length needs the memory of a few messages.

mod answer;
mod chunks;
mod document;
mod lines;
mod upload;

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;

use self::answer::{BulkAnswer, Stop};
use self::chunks::Chunks;
use self::document::RideLines;
use self::lines::Lines;
use self::upload::Upload;
use crate::error::ApiError;
use crate::ingest::Caller;
use crate::state::Api;

/// Maximum time that an upload continues after the start of a drain.
const DRAIN: Duration = Duration::from_secs(5);

/// Post many rides
///
/// NDJSON: one complete ride per line, for any skiers, days and resorts. The body is stored while it streams in. An invalid
/// line is rejected and listed in the response, and all other lines are stored. If the response has a `nextLine`, every line
/// before it is settled, and a new request can continue from there; sending the whole body again is also safe.
///
/// The body may be compressed with gzip. The maximum is 64 MiB after decompression, and 1 KiB per line.
#[utoipa::path(
    post,
    path = "/rides",
    operation_id = "postRides",
    tag = "Rides",
    params(
        ("Content-Encoding" = inline(Option<chunks::Encoding>), Header, nullable = false, description = "Compression of the body"),
    ),
    request_body(content = inline(RideLines), content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "Every line is settled", body = BulkAnswer),
        (status = 400, description = "The body is incomplete, or its gzip data is invalid", body = BulkAnswer),
        (status = 408, description = "Upload stalled or too slow", body = BulkAnswer),
        (status = 413, description = "The body or a line is too large", body = BulkAnswer),
        (status = 503, description = "Some rides were rejected; retry from nextLine", body = BulkAnswer),
    ),
)]
pub(crate) async fn post_rides(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<BulkAnswer, ApiError> {
    let mut chunks = Chunks::open(&headers, body)?;
    let mut upload = Upload::new(&api, caller, api.authorizer.scope(caller)?);
    let mut lines = Lines::default();
    let stop = match store(&api, &mut chunks, &mut lines, &mut upload).await {
        Ok(()) => None,
        Err(stop) => Some((stop, lines.next_number())),
    };
    Ok(upload.finish(stop).await)
}

/// Stores line by line until the body ends or the upload is stopped.
async fn store(
    api: &Api,
    chunks: &mut Chunks,
    lines: &mut Lines,
    upload: &mut Upload<'_>,
) -> Result<(), Stop> {
    let drained = async {
        api.draining.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::pin!(drained);
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk?,
            // Messages are confirmed while the client is slow.
            confirmed = upload.confirmed() => { confirmed?; continue }
            () = &mut drained => return Err(Stop::Draining),
        };
        let Some(chunk) = chunk else { break };
        // A key that is revoked during the upload stops it.
        upload.ask_again()?;
        let mut rest = &chunk[..];
        while let Some((number, line)) = lines.next(&mut rest) {
            upload.take(number, line).await?;
        }
    }
    if let Some((number, line)) = lines.last() {
        upload.take(number, line).await?;
    }
    Ok(())
}
