//! `POST /rides`: many rides in one request, a line each, stored as they stream in.
//!
//! - [`chunks`]: the body's bytes, inflated, bounded in size and time. [`lines`]: the lines in them.
//! - [`upload`]: sends rides as they are read, and knows which lines are settled. [`answer`]: what the client is told.
//!   [`document`]: how the body is documented.
//!
//! The body is never held as a whole: a request needs the memory of a few messages, however long it is.

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

/// How long an upload may go on after the drain began.
const DRAIN: Duration = Duration::from_secs(5);

/// Post many rides
///
/// NDJSON: one whole ride a line, for any skiers, days and resorts. The body is stored while it streams in. A line that is
/// no ride is rejected and named in the answer, and the others are stored all the same. Where the answer has a `nextLine`,
/// every line before it is settled, and the request can go on from there; sending all of it again is safe, too.
///
/// The body may be compressed with gzip. Inflated it may have 64 MiB, and each line 1 KiB.
#[utoipa::path(
    post,
    path = "/rides",
    operation_id = "postRides",
    tag = "Rides",
    params(
        ("Content-Encoding" = inline(Option<chunks::Encoding>), Header, nullable = false, description = "How the body is compressed"),
    ),
    request_body(content = inline(RideLines), content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "Every line is settled", body = BulkAnswer),
        (status = 400, description = "The body broke off, or its gzip is broken", body = BulkAnswer),
        (status = 408, description = "The body came to a halt, or too slowly", body = BulkAnswer),
        (status = 413, description = "The body or a line is too long", body = BulkAnswer),
        (status = 503, description = "Rides were refused on the way", body = BulkAnswer),
    ),
)]
pub(crate) async fn post_rides(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<BulkAnswer, ApiError> {
    let mut chunks = Chunks::open(&headers, body)?;
    let mut upload = Upload::new(&api, caller, api.guard.scope(caller)?);
    let mut lines = Lines::default();
    let stop = match store(&api, &mut chunks, &mut lines, &mut upload).await {
        Ok(()) => None,
        Err(stop) => Some((stop, lines.next_number())),
    };
    Ok(upload.finish(stop).await)
}

/// Stores line after line, until the body ends or something stops it.
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
            // Messages are on their way while the client is slow.
            confirmed = upload.confirmed() => { confirmed?; continue }
            () = &mut drained => return Err(Stop::Draining),
        };
        let Some(chunk) = chunk else { break };
        // Whoever is turned out while he sends is turned out all the same.
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
